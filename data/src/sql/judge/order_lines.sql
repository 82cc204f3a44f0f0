WITH numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY order_id, line_no ORDER BY CASE WHEN _bad IS NULL THEN 0 ELSE 1 END, _source, _file, _row) AS _nth
    FROM raw_order_lines
)
SELECT l.order_id, l.line_no, l.product_id, l.quantity, l.unit_price, l.discount, l.offer_id,
       o.customer_id AS _customer_id, o.ordered_at AS _ordered_at, o.status AS _status,
       l._nth, l._source, l._file, l._row,
       CASE WHEN l._bad IS NOT NULL THEN 'bad_value'
            WHEN l.order_id IS NULL OR l.line_no IS NULL OR l.product_id IS NULL OR l.quantity IS NULL
                 OR l.unit_price IS NULL THEN 'missing_value'
            WHEN l._nth > 1 THEN 'duplicate_key'
            WHEN o.order_id IS NULL THEN 'unknown_order'
            WHEN o._reason IS NOT NULL THEN 'order_left_out'
            WHEN p.product_id IS NULL THEN 'unknown_product'
            WHEN p._reason = 'service_product' THEN 'service_product'
            WHEN p._reason IS NOT NULL THEN 'product_left_out'
            WHEN l.unit_price <= 0 THEN 'bad_price'
            WHEN l.quantity = 0 {zero_allowed} THEN 'bad_quantity'
            WHEN l.discount < 0 OR (l.quantity > 0 AND l.discount > l.quantity * l.unit_price) THEN 'bad_discount'
            WHEN l.quantity < 0 AND o.status = 'placed' THEN 'return_line' END AS _reason,
       CAST(NULL AS VARCHAR) AS _changed,
       coalesce(l._bad, concat_ws(', ', 'order_id=' || l.order_id, 'line_no=' || CAST(l.line_no AS VARCHAR),
           'product_id=' || l.product_id, 'quantity=' || CAST(l.quantity AS VARCHAR),
           'unit_price=' || CAST(l.unit_price AS VARCHAR), 'discount=' || CAST(l.discount AS VARCHAR))) AS _detail
FROM numbered l
LEFT JOIN (SELECT order_id, customer_id, ordered_at, status, _reason FROM judged_orders WHERE _nth = 1) o
       ON l.order_id = o.order_id
LEFT JOIN (SELECT product_id, _reason FROM judged_products WHERE _nth = 1) p ON l.product_id = p.product_id
