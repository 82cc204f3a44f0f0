-- Without a source of products, a product is what was sold. Its price is the median of what was paid for it.
SELECT product_id, CAST(NULL AS VARCHAR) AS name, CAST(NULL AS VARCHAR) AS text, CAST(NULL AS VARCHAR) AS category_id,
       CAST(NULL AS VARCHAR) AS subcategory_id, CAST(NULL AS VARCHAR) AS brand_id, CAST(NULL AS VARCHAR) AS variant_of,
       CAST(NULL AS VARCHAR) AS unit, CAST(NULL AS DECIMAL(18,4)) AS pack_size,
       CAST(median(CASE WHEN unit_price > 0 THEN unit_price END) AS DECIMAL(18,4)) AS list_price,
       CAST(NULL AS DECIMAL(18,4)) AS cost, true AS active, CAST(NULL AS VARCHAR) AS product_type,
       0 AS _source, min(_file) AS _file, min(_row) AS _row, CAST(NULL AS VARCHAR) AS _bad
FROM raw_order_lines
WHERE product_id IS NOT NULL AND _bad IS NULL
GROUP BY product_id
