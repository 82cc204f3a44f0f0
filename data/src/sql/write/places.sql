SELECT city_id, city_name, area_id, area_name, country FROM judged_places WHERE _reason IS NULL ORDER BY city_id
