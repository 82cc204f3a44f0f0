-- Where a system writes the line's amount but no discount, the discount is what the amount lacks (by more than a rounded cent).
SELECT sales_id AS order_id, line_no, product_id, quantity, unit_price,
       CAST(coalesce(discount, CASE WHEN quantity * unit_price - amount > 0.01 THEN quantity * unit_price - amount END)
            AS DECIMAL(18,4)) AS discount,
       offer_id, {meta}
FROM {s}mv_sales_detail
