SELECT reason, rows, text FROM (
    SELECT {column} AS reason, count(*) OVER (PARTITION BY {column}) AS rows,
           row_number() OVER (PARTITION BY {column} ORDER BY _source, _file, _row) AS nth,
           _file || ' row ' || CAST(_row AS VARCHAR) || ': ' || _detail AS text
    FROM judged_{table} WHERE {column} IS NOT NULL {and})
WHERE nth <= 10
ORDER BY reason, nth
