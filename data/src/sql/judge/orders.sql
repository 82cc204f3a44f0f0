WITH numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY order_id ORDER BY CASE WHEN _bad IS NULL THEN 0 ELSE 1 END, _source, _file, _row) AS _nth
    FROM raw_orders
), named AS (
    SELECT n.*,
        CASE WHEN n.status IS NULL THEN CASE WHEN l.most < 0 THEN 'cancelled' ELSE 'placed' END
             WHEN lower(n.status) IN ('placed', 'open', 'confirmed', 'processing', 'paid', 'invoiced', 'shipped',
                                      'delivered', 'complete', 'completed', 'closed') THEN 'placed'
             WHEN lower(n.status) IN ('cancelled', 'canceled', 'void', 'voided') THEN 'cancelled'
             WHEN lower(n.status) IN ('returned', 'refunded') THEN 'returned'
             WHEN lower(n.status) IN ('adjusted', 'adjustment') THEN 'adjusted' END AS _status,
        CASE replace(replace(lower(n.channel), ' ', '_'), '-', '_')
             WHEN 'back_office' THEN 'back_office' WHEN 'backoffice' THEN 'back_office' WHEN 'oms' THEN 'back_office'
             WHEN 'web' THEN 'web' WHEN 'online' THEN 'web' WHEN 'website' THEN 'web' WHEN 'ecommerce' THEN 'web'
             WHEN 'mobile' THEN 'mobile' WHEN 'app' THEN 'mobile'
             WHEN 'branch' THEN 'branch' WHEN 'store' THEN 'branch' WHEN 'pos' THEN 'branch' WHEN 'shop' THEN 'branch'
             WHEN 'email' THEN 'email' WHEN 'e_mail' THEN 'email' WHEN 'mail' THEN 'email'
             WHEN 'partner' THEN 'partner' WHEN 'marketplace' THEN 'partner' END AS _channel
    FROM numbered n
    LEFT JOIN (SELECT order_id, max(quantity) AS most FROM raw_order_lines GROUP BY order_id) l
           ON n.order_id = l.order_id AND n.status IS NULL
)
SELECT order_id, customer_id, ordered_at, _channel AS channel, city_id, area_id, country, _status AS status, total,
       currency, _nth, _source, _file, _row,
       CASE WHEN _bad IS NOT NULL THEN 'bad_value'
            WHEN order_id IS NULL OR ordered_at IS NULL THEN 'missing_value'
            WHEN _nth > 1 THEN 'duplicate_key'
            WHEN _status IS NULL THEN 'unknown_status'
            WHEN ordered_at > CAST('{now}' AS TIMESTAMP(6)) THEN 'future_time'
            WHEN ordered_at < CAST('{from}' AS TIMESTAMP(6)) THEN 'outside_window'
            WHEN currency <> '{currency}' THEN 'other_currency' END AS _reason,
       CASE WHEN channel IS NOT NULL AND _channel IS NULL THEN 'channel_unknown' END AS _changed,
       coalesce(_bad, concat_ws(', ', 'order_id=' || order_id, 'ordered_at=' || CAST(ordered_at AS VARCHAR),
                                'status=' || status, 'currency=' || currency, 'channel=' || channel)) AS _detail
FROM named
