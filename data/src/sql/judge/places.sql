WITH numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY city_id ORDER BY CASE WHEN _bad IS NULL THEN 0 ELSE 1 END, _source, _file, _row) AS _nth
    FROM raw_places
)
SELECT city_id, city_name, area_id, area_name, country, _nth, _source, _file, _row,
       CASE WHEN _bad IS NOT NULL THEN 'bad_value'
            WHEN city_id IS NULL THEN 'missing_value'
            WHEN _nth > 1 THEN 'duplicate_key' END AS _reason,
       CAST(NULL AS VARCHAR) AS _changed,
       coalesce(_bad, concat_ws(', ', 'city_id=' || city_id, 'city_name=' || city_name)) AS _detail
FROM numbered
