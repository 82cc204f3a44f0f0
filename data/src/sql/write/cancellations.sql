-- What was netted, what a source had netted before, and what nobody can be asked for because the order names no customer.
SELECT cancel_order_id, cancel_line_no, product_id, order_id, line_no, quantity, cancelled_at FROM netted
UNION ALL
SELECT cancel_order_id, cancel_line_no, product_id, order_id, line_no, quantity, cancelled_at
FROM judged_cancellations WHERE _reason IS NULL
UNION ALL
SELECT order_id AS cancel_order_id, line_no AS cancel_line_no, product_id, CAST(NULL AS VARCHAR) AS order_id,
       CAST(NULL AS BIGINT) AS line_no, CAST(-quantity AS DECIMAL(18,4)) AS quantity, _ordered_at AS cancelled_at
FROM judged_order_lines
WHERE (_reason IS NULL OR _reason = 'return_line') AND _customer_id IS NULL AND quantity < 0 AND _status <> 'adjusted'
      {not_netted_yet}
ORDER BY cancel_order_id, cancel_line_no, order_id NULLS FIRST, line_no
