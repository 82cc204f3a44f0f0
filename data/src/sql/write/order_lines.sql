-- What was cancelled is taken off what it cancels; a line that was cancelled whole keeps its place with quantity 0.
SELECT l.order_id, l.line_no, l.product_id,
       CAST(l.quantity - coalesce(c.quantity, 0) AS DECIMAL(18,4)) AS quantity,
       l.unit_price,
       CAST(CASE WHEN c.quantity IS NULL THEN l.discount
                 ELSE l.discount * (l.quantity - c.quantity) / l.quantity END AS DECIMAL(18,4)) AS discount,
       l.offer_id
FROM judged_order_lines l
LEFT JOIN (SELECT order_id, line_no, CAST(sum(quantity) AS DECIMAL(18,4)) AS quantity FROM netted
           WHERE order_id IS NOT NULL GROUP BY order_id, line_no) c
       ON l.order_id = c.order_id AND l.line_no = c.line_no
WHERE l._reason IS NULL
ORDER BY l.order_id, l.line_no
