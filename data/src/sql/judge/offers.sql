-- checked_offers holds, by source row, the offer's type as it is spelled here, its terms and scope, and what is wrong with them.
WITH numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY offer_id ORDER BY CASE WHEN _bad IS NULL THEN 0 ELSE 1 END, _source, _file, _row) AS _nth
    FROM raw_offers
)
SELECT n.offer_id, c.offer_type, c.scope, c.terms, n.valid_from, n.valid_to, n.priority, n.stackable, n.max_per_order,
       n._nth, n._source, n._file, n._row,
       CASE WHEN n._bad IS NOT NULL THEN 'bad_value'
            WHEN n.offer_id IS NULL OR n.offer_type IS NULL OR n.terms IS NULL THEN 'missing_value'
            WHEN n._nth > 1 THEN 'duplicate_key'
            WHEN c._reason IS NOT NULL THEN c._reason
            WHEN n.valid_from > n.valid_to THEN 'bad_period'
            WHEN n.max_per_order < 1 THEN 'bad_quantity' END AS _reason,
       CAST(NULL AS VARCHAR) AS _changed,
       coalesce(n._bad, concat_ws(', ', 'offer_id=' || n.offer_id, 'type=' || n.offer_type, c._why,
           'valid_from=' || CAST(n.valid_from AS VARCHAR), 'valid_to=' || CAST(n.valid_to AS VARCHAR))) AS _detail
FROM numbered n
LEFT JOIN checked_offers c ON n._source = c._source AND n._file = c._file AND n._row = c._row
