SELECT c.city_id, c.city_name, c.area_id, a.area_name, c.country,
       {source} AS _source, c._file, c._row, c._bad
FROM {s}mv_setup_city c
LEFT JOIN (SELECT area_id, min(area_name) AS area_name FROM {s}mv_setup_area GROUP BY area_id) a ON c.area_id = a.area_id
