-- An end without a time of day is the end of that day.
SELECT offer_id, type AS offer_type, scope, terms, valid_from,
       CASE WHEN valid_to = date_trunc('day', valid_to)
            THEN valid_to + INTERVAL '1 day' - INTERVAL '1 microsecond' ELSE valid_to END AS valid_to,
       priority, stackable, max_per_order, {meta}
FROM {s}mv_promotion
