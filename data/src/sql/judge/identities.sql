WITH numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY source, source_id ORDER BY CASE WHEN _bad IS NULL THEN 0 ELSE 1 END, _source, _file, _row) AS _nth
    FROM raw_identities
)
SELECT source, source_id, customer_id, since, _nth, _source, _file, _row,
       CASE WHEN _bad IS NOT NULL THEN 'bad_value'
            WHEN source IS NULL OR source_id IS NULL OR customer_id IS NULL THEN 'missing_value'
            WHEN _nth > 1 THEN 'duplicate_key' END AS _reason,
       CAST(NULL AS VARCHAR) AS _changed,
       coalesce(_bad, concat_ws(', ', 'source=' || source, 'source_id=' || source_id)) AS _detail
FROM numbered
