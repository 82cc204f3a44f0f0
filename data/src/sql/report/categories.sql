WITH sold AS (
    SELECT coalesce(c.name, p.category_id) AS category, count(*) AS lines
    FROM order_lines l
    JOIN orders o ON l.order_id = o.order_id AND o.status = 'placed'
    JOIN products p ON l.product_id = p.product_id
    LEFT JOIN categories c ON p.category_id = c.category_id AND c.parent_id IS NULL
    WHERE l.quantity > 0 GROUP BY 1
), ranked AS (
    SELECT category, lines, row_number() OVER (ORDER BY lines DESC, category) AS place FROM sold
)
SELECT CASE WHEN place <= 12 THEN category ELSE 'all others' END AS label, sum(lines)
FROM ranked GROUP BY 1 ORDER BY min(place)
