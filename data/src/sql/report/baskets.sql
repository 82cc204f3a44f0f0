WITH baskets AS (
    SELECT o.order_id, count(DISTINCT l.product_id) AS size
    FROM orders o JOIN order_lines l ON o.order_id = l.order_id
    WHERE o.status = 'placed' AND l.quantity > 0 GROUP BY o.order_id
), bands AS (
    SELECT CASE WHEN size = 1 THEN 1 WHEN size = 2 THEN 2 WHEN size <= 4 THEN 3 WHEN size <= 9 THEN 4
                WHEN size <= 19 THEN 5 WHEN size <= 39 THEN 6 WHEN size <= 60 THEN 7 ELSE 8 END AS band FROM baskets
)
SELECT CASE band WHEN 1 THEN '1' WHEN 2 THEN '2' WHEN 3 THEN '3-4' WHEN 4 THEN '5-9' WHEN 5 THEN '10-19'
                 WHEN 6 THEN '20-39' WHEN 7 THEN '40-60' ELSE '61+' END AS size, count(*)
FROM bands GROUP BY band ORDER BY band
