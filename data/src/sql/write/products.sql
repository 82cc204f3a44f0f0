SELECT product_id, name, text, category_id, subcategory_id, brand_id, variant_of, unit, pack_size, list_price, cost, active
FROM judged_products WHERE _reason IS NULL ORDER BY product_id
