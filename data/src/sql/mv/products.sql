SELECT product_id, product_name AS name, description AS text, category_id, sub_category_id AS subcategory_id, brand_id,
       variant_of, unit, pack_size, list_price, cost, active, product_type, {meta}
FROM {s}mv_setup_product
