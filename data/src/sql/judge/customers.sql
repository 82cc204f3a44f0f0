WITH numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY customer_id ORDER BY CASE WHEN _bad IS NULL THEN 0 ELSE 1 END, _source, _file, _row) AS _nth
    FROM raw_customers
)
SELECT customer_id, customer_type, gender, age_band, income_band, household, city_id, area_id, country,
       CASE WHEN first_seen <= CAST('{now}' AS TIMESTAMP(6)) THEN first_seen END AS first_seen,
       email, phone, push_token, consent_email, consent_phone, consent_push,
       _nth, _source, _file, _row,
       CASE WHEN _bad IS NOT NULL THEN 'bad_value'
            WHEN customer_id IS NULL THEN 'missing_value'
            WHEN _nth > 1 THEN 'duplicate_key' END AS _reason,
       CASE WHEN first_seen > CAST('{now}' AS TIMESTAMP(6)) THEN 'future_time_emptied' END AS _changed,
       -- Contacts do not belong into a report, so a value that cannot be read is not shown when it may be one.
       concat_ws(', ', 'customer_id=' || customer_id, 'first_seen=' || CAST(first_seen AS VARCHAR), _bad) AS _detail
FROM numbered
