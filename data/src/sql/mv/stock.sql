SELECT product_id, city_id, on_hand, on_order, backordered, lead_time_days, as_of, {meta}
FROM {s}mv_stock
