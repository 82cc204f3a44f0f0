WITH numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY cancel_order_id, cancel_line_no, order_id, line_no
        ORDER BY CASE WHEN _bad IS NULL THEN 0 ELSE 1 END, _source, _file, _row) AS _nth
    FROM raw_cancellations
)
SELECT cancel_order_id, cancel_line_no, product_id, order_id, line_no, quantity, cancelled_at,
       _nth, _source, _file, _row,
       CASE WHEN _bad IS NOT NULL THEN 'bad_value'
            WHEN cancel_order_id IS NULL OR cancel_line_no IS NULL OR product_id IS NULL OR quantity IS NULL
                 OR cancelled_at IS NULL THEN 'missing_value'
            WHEN _nth > 1 THEN 'duplicate_key'
            WHEN quantity <= 0 THEN 'bad_quantity' END AS _reason,
       CAST(NULL AS VARCHAR) AS _changed,
       coalesce(_bad, concat_ws(', ', 'cancel_order_id=' || cancel_order_id, 'quantity=' || CAST(quantity AS VARCHAR))) AS _detail
FROM numbered
