-- Customers that only their orders know are added, as their latest order knows them.
WITH bought AS (
    SELECT customer_id, min(ordered_at) AS first_order,
           first_value(city_id ORDER BY ordered_at DESC, order_id DESC) AS city_id,
           first_value(area_id ORDER BY ordered_at DESC, order_id DESC) AS area_id,
           first_value(country ORDER BY ordered_at DESC, order_id DESC) AS country
    FROM judged_orders WHERE _reason IS NULL AND customer_id IS NOT NULL GROUP BY customer_id
), known AS (SELECT * FROM judged_customers WHERE _reason IS NULL)
SELECT coalesce(k.customer_id, b.customer_id) AS customer_id, k.customer_type, k.gender, k.age_band, k.income_band,
       k.household, coalesce(k.city_id, CASE WHEN k.customer_id IS NULL THEN b.city_id END) AS city_id,
       coalesce(k.area_id, CASE WHEN k.customer_id IS NULL THEN b.area_id END) AS area_id,
       coalesce(k.country, CASE WHEN k.customer_id IS NULL THEN b.country END) AS country,
       coalesce(k.first_seen, b.first_order) AS first_seen,
       k.email, k.phone, k.push_token, k.consent_email, k.consent_phone, k.consent_push
FROM known k FULL OUTER JOIN bought b ON k.customer_id = b.customer_id
ORDER BY customer_id
