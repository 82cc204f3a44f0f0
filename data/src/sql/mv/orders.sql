SELECT sales_id AS order_id, customer_id, sales_date AS ordered_at, channel, city_id, area_id, country, status,
       CAST(NULL AS DECIMAL(18,4)) AS total, CAST(NULL AS VARCHAR) AS currency, {meta}
FROM {s}mv_sales
