SELECT brand_id, brand_name AS name, {meta}
FROM {s}mv_setup_brand
