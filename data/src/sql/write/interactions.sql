-- An event without an id gets one from its session (or customer) and its place in it.
SELECT coalesce(event_id, coalesce(session_id, customer_id) || '-' || CAST(row_number() OVER (
           PARTITION BY event_id IS NULL, coalesce(session_id, customer_id)
           ORDER BY ts, event_type, product_id, value, _source, _file, _row) AS VARCHAR)) AS event_id,
       ts, customer_id, session_id, event_type, product_id, quantity, value, placement, request_id, context
FROM judged_interactions WHERE _reason IS NULL
ORDER BY event_id
