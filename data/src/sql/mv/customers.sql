-- Consent is yes or no for every channel, or a list of channels such as "email,sms".
SELECT customer_id, customer_type, gender, age_band,
       CAST(NULL AS VARCHAR) AS income_band, CAST(NULL AS VARCHAR) AS household,
       city_id, area_id, country, created_date AS first_seen, email, phone, CAST(NULL AS VARCHAR) AS push_token,
       CASE WHEN consent IS NULL THEN NULL WHEN {yes} THEN true ELSE lower(consent) LIKE '%mail%' END AS consent_email,
       CASE WHEN consent IS NULL THEN NULL WHEN {yes} THEN true
            ELSE lower(consent) LIKE '%phone%' OR lower(consent) LIKE '%sms%' END AS consent_phone,
       CASE WHEN consent IS NULL THEN NULL WHEN {yes} THEN true ELSE lower(consent) LIKE '%push%' END AS consent_push,
       {meta}
FROM {s}mv_setup_customer
