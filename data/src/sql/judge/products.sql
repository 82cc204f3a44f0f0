WITH numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY product_id ORDER BY CASE WHEN _bad IS NULL THEN 0 ELSE 1 END, _source, _file, _row) AS _nth
    FROM raw_products
)
SELECT product_id, name, text, category_id, subcategory_id, brand_id, variant_of, unit,
       CASE WHEN pack_size > 0 THEN pack_size END AS pack_size,
       CASE WHEN list_price > 0 THEN list_price END AS list_price,
       CASE WHEN cost >= 0 THEN cost END AS cost,
       coalesce(active, true) AS active,
       _nth, _source, _file, _row,
       CASE WHEN _bad IS NOT NULL THEN 'bad_value'
            WHEN product_id IS NULL THEN 'missing_value'
            WHEN _nth > 1 THEN 'duplicate_key'
            WHEN lower(product_type) IN ('service', 'services', 'fee', 'charge') THEN 'service_product' END AS _reason,
       CASE WHEN pack_size <= 0 OR list_price <= 0 OR cost < 0 THEN 'impossible_value_emptied' END AS _changed,
       coalesce(_bad, concat_ws(', ', 'product_id=' || product_id, 'name=' || name, 'product_type=' || product_type,
           'pack_size=' || CAST(pack_size AS VARCHAR), 'list_price=' || CAST(list_price AS VARCHAR),
           'cost=' || CAST(cost AS VARCHAR))) AS _detail
FROM numbered
