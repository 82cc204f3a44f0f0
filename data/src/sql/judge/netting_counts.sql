-- Lines that cancel or return: all of them, those that were taken off whole, and those of which a part was.
WITH asked AS (
    SELECT order_id, line_no, -quantity AS quantity FROM judged_order_lines
    WHERE (_reason IS NULL OR _reason = 'return_line') AND quantity < 0 AND _status <> 'adjusted' {not_netted_yet}
), found AS (
    SELECT cancel_order_id, cancel_line_no, sum(quantity) AS quantity FROM netted WHERE order_id IS NOT NULL
    GROUP BY cancel_order_id, cancel_line_no
)
SELECT count(*), coalesce(sum(CASE WHEN f.quantity = a.quantity THEN 1 ELSE 0 END), 0),
       coalesce(sum(CASE WHEN f.quantity < a.quantity THEN 1 ELSE 0 END), 0)
FROM asked a LEFT JOIN found f ON a.order_id = f.cancel_order_id AND a.line_no = f.cancel_line_no
