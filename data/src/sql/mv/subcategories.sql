SELECT sub_category_id AS category_id, sub_category_name AS name, category_id AS parent_id, {meta}
FROM {s}mv_setup_sub_category
