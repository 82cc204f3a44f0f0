SELECT offer_id, offer_type, scope, terms, valid_from, valid_to, priority, stackable, max_per_order
FROM judged_offers WHERE _reason IS NULL ORDER BY offer_id
