-- Events without an id of their own are the same event when all of them is the same. A session is bot-like that has 1,000 events
-- or more, or 100 or more at 30 a minute or faster without a cart, a purchase or an accepted recommendation.
WITH named AS (
    SELECT *, CASE replace(replace(lower(event_type), ' ', '_'), '-', '_')
        WHEN 'view' THEN 'view_item' WHEN 'view_item' THEN 'view_item' WHEN 'product_view' THEN 'view_item'
        WHEN 'productview' THEN 'view_item' WHEN 'detail' THEN 'view_item' WHEN 'viewitem' THEN 'view_item'
        WHEN 'search' THEN 'search' WHEN 'view_search_results' THEN 'search'
        WHEN 'click' THEN 'select_item' WHEN 'select_item' THEN 'select_item' WHEN 'selectitem' THEN 'select_item'
        WHEN 'add' THEN 'add_to_cart' WHEN 'add_to_cart' THEN 'add_to_cart' WHEN 'addtocart' THEN 'add_to_cart'
        WHEN 'remove' THEN 'remove_from_cart' WHEN 'remove_from_cart' THEN 'remove_from_cart'
        WHEN 'removefromcart' THEN 'remove_from_cart'
        WHEN 'checkout' THEN 'begin_checkout' WHEN 'begin_checkout' THEN 'begin_checkout'
        WHEN 'begincheckout' THEN 'begin_checkout'
        WHEN 'purchase' THEN 'purchase' WHEN 'buy' THEN 'purchase' WHEN 'order' THEN 'purchase'
        WHEN 'refund' THEN 'refund' WHEN 'return' THEN 'refund'
        WHEN 'rate' THEN 'rate' WHEN 'rating' THEN 'rate' WHEN 'review' THEN 'rate'
        WHEN 'recommendation_shown' THEN 'recommendation_shown'
        WHEN 'recommendation_accepted' THEN 'recommendation_accepted'
        WHEN 'recommendation_declined' THEN 'recommendation_declined'
        WHEN 'stock_changed' THEN 'stock_changed' WHEN 'price_changed' THEN 'price_changed'
        WHEN 'offer_changed' THEN 'offer_changed' WHEN 'customer_changed' THEN 'customer_changed' END AS _type
    FROM raw_interactions
), numbered AS (
    SELECT *,
        row_number() OVER (
            PARTITION BY event_id, CASE WHEN event_id IS NULL THEN concat_ws('|', coalesce(session_id, ''),
                coalesce(customer_id, ''), CAST(ts AS VARCHAR), event_type, coalesce(product_id, ''),
                CAST(value AS VARCHAR)) END
            ORDER BY CASE WHEN _bad IS NULL THEN 0 ELSE 1 END, _source, _file, _row) AS _nth
    FROM named
), sessions AS (
    SELECT session_id AS _session,
        count(*) >= 1000
        OR (count(*) >= 100
            AND sum(CASE WHEN _type IN ('add_to_cart', 'begin_checkout', 'purchase', 'recommendation_accepted')
                    THEN 1 ELSE 0 END) = 0
            AND count(*) * 60 >= 30 * (date_part('epoch', max(ts)) - date_part('epoch', min(ts)))) AS _bot
    FROM numbered WHERE session_id IS NOT NULL AND _nth = 1 GROUP BY session_id
)
SELECT i.event_id, i.ts, i.customer_id, i.session_id, i._type AS event_type, i.product_id, i.quantity, i.value,
       i.placement, i.request_id, i.context, i._nth, i._source, i._file, i._row,
       CASE WHEN i._bad IS NOT NULL THEN 'bad_value'
            WHEN i.ts IS NULL OR i.event_type IS NULL OR (i.session_id IS NULL AND i.customer_id IS NULL)
                THEN 'missing_value'
            WHEN i._nth > 1 THEN 'duplicate_key'
            WHEN i._type IS NULL THEN 'unknown_event_type'
            WHEN i.ts > CAST('{now}' AS TIMESTAMP(6)) THEN 'future_time'
            WHEN i.ts < CAST('{from}' AS TIMESTAMP(6)) THEN 'outside_window'
            WHEN i.product_id IS NOT NULL AND p.product_id IS NULL THEN 'unknown_product'
            WHEN p._reason = 'service_product' THEN 'service_product'
            WHEN p._reason IS NOT NULL THEN 'product_left_out'
            WHEN i._type = 'rate' AND (i.value IS NULL OR i.value < 1 OR i.value > 5) THEN 'bad_rating'
            WHEN i.quantity < 0 THEN 'bad_quantity'
            WHEN s._bot THEN 'bot_session' END AS _reason,
       CAST(NULL AS VARCHAR) AS _changed,
       coalesce(i._bad, concat_ws(', ', 'event_id=' || i.event_id, 'ts=' || CAST(i.ts AS VARCHAR),
           'session_id=' || i.session_id, 'type=' || i.event_type, 'product_id=' || i.product_id,
           'value=' || CAST(i.value AS VARCHAR))) AS _detail
FROM numbered i
LEFT JOIN sessions s ON i.session_id = s._session
LEFT JOIN (SELECT product_id, _reason FROM judged_products WHERE _nth = 1) p ON i.product_id = p.product_id
