SELECT category_id, name, parent_id FROM judged_categories WHERE _reason IS NULL
ORDER BY category_id, parent_id NULLS FIRST
