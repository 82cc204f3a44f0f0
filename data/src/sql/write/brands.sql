SELECT brand_id, name FROM judged_brands WHERE _reason IS NULL ORDER BY brand_id
