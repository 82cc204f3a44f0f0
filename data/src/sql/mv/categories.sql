-- A subcategory names its category as parent_id; a category has none. Their ids are apart, so both may have an id "1".
SELECT category_id, category_name AS name, CAST(NULL AS VARCHAR) AS parent_id, {meta}
FROM {s}mv_setup_category
