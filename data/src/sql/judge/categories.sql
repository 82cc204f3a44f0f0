-- Categories and subcategories are two kinds of rows: an id may occur once in each.
WITH numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY category_id, parent_id IS NULL
        ORDER BY CASE WHEN _bad IS NULL THEN 0 ELSE 1 END, _source, _file, _row) AS _nth
    FROM raw_categories
)
SELECT category_id, name, parent_id, _nth, _source, _file, _row,
       CASE WHEN _bad IS NOT NULL THEN 'bad_value'
            WHEN category_id IS NULL THEN 'missing_value'
            WHEN _nth > 1 THEN 'duplicate_key' END AS _reason,
       CAST(NULL AS VARCHAR) AS _changed,
       coalesce(_bad, concat_ws(', ', 'category_id=' || category_id, 'name=' || name, 'parent_id=' || parent_id)) AS _detail
FROM numbered
