SELECT CAST(NULL AS VARCHAR) AS event_id, event_time AS ts, customer_id, session_id, event_type, product_id,
       CAST(NULL AS DECIMAL(18,4)) AS quantity, CAST(NULL AS DECIMAL(18,4)) AS value,
       CAST(NULL AS VARCHAR) AS placement, CAST(NULL AS VARCHAR) AS request_id,
       CASE WHEN device IS NULL AND referrer IS NULL AND city_id IS NULL THEN NULL
            ELSE '{' || concat_ws(',', {json:device}, {json:referrer}, {json:city_id}) || '}' END AS context,
       {meta}
FROM {s}mv_online_customer_view
