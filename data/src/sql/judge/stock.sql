WITH numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY product_id, city_id, as_of
        ORDER BY CASE WHEN _bad IS NULL THEN 0 ELSE 1 END, _source, _file, _row) AS _nth
    FROM raw_stock
)
SELECT s.product_id, s.city_id, s.on_hand, s.on_order, s.backordered, s.lead_time_days, s.as_of,
       s._nth, s._source, s._file, s._row,
       CASE WHEN s._bad IS NOT NULL THEN 'bad_value'
            WHEN s.product_id IS NULL OR s.on_hand IS NULL OR s.as_of IS NULL THEN 'missing_value'
            WHEN s._nth > 1 THEN 'duplicate_key'
            WHEN s.as_of > CAST('{now}' AS TIMESTAMP(6)) THEN 'future_time'
            WHEN p.product_id IS NULL THEN 'unknown_product'
            WHEN p._reason = 'service_product' THEN 'service_product'
            WHEN p._reason IS NOT NULL THEN 'product_left_out'
            WHEN s.on_order < 0 OR s.backordered < 0 OR s.lead_time_days < 0 THEN 'bad_quantity' END AS _reason,
       CAST(NULL AS VARCHAR) AS _changed,
       coalesce(s._bad, concat_ws(', ', 'product_id=' || s.product_id, 'city_id=' || s.city_id,
           'on_hand=' || CAST(s.on_hand AS VARCHAR), 'as_of=' || CAST(s.as_of AS VARCHAR))) AS _detail
FROM numbered s
LEFT JOIN (SELECT product_id, _reason FROM judged_products WHERE _nth = 1) p ON s.product_id = p.product_id
