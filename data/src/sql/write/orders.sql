-- An order's total is the source's, else the sum of its lines that are kept, as they were ordered.
SELECT o.order_id, o.customer_id, o.ordered_at, o.channel, o.city_id, o.area_id, o.country, o.status,
       coalesce(o.total, l.total) AS total, coalesce(o.currency, {currency}) AS currency
FROM judged_orders o
LEFT JOIN (SELECT order_id, CAST(sum(quantity * unit_price - coalesce(discount, 0)) AS DECIMAL(18,4)) AS total
           FROM judged_order_lines WHERE _reason IS NULL GROUP BY order_id) l ON o.order_id = l.order_id
WHERE o._reason IS NULL
ORDER BY o.order_id
