-- Lines of customers and products with something to net: what was ordered, and what was cancelled or sent back, in order of time.
WITH lines AS (
    SELECT _customer_id, product_id, _ordered_at, order_id, line_no, quantity, unit_price, _status
    FROM judged_order_lines
    WHERE (_reason IS NULL OR _reason = 'return_line') AND _customer_id IS NOT NULL
      AND ((quantity > 0 AND _status = 'placed') OR (quantity < 0 AND _status <> 'adjusted'))
      {not_netted_yet}
)
SELECT l._customer_id AS customer_id, l.product_id, l._ordered_at AS at, l.order_id, l.line_no, l.quantity, l.unit_price
-- What must be netted comes first: the first side of a join is the one that is held in memory.
FROM (SELECT DISTINCT _customer_id AS c, product_id AS p FROM lines WHERE quantity < 0) n
JOIN lines l ON l._customer_id = n.c AND l.product_id = n.p
ORDER BY customer_id, product_id, at, CASE WHEN l.quantity > 0 THEN 0 ELSE 1 END, order_id, line_no
