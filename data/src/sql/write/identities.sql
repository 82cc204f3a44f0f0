SELECT source, source_id, customer_id, since FROM judged_identities WHERE _reason IS NULL ORDER BY source, source_id
