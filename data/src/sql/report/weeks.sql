SELECT CAST(CAST(date_trunc('week', ordered_at) AS DATE) AS VARCHAR) AS week, count(*)
FROM orders WHERE status = 'placed' GROUP BY 1 ORDER BY 1
