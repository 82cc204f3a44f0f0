SELECT product_id, city_id, on_hand, on_order, backordered, lead_time_days, as_of
FROM judged_stock WHERE _reason IS NULL ORDER BY product_id, city_id NULLS FIRST, as_of
