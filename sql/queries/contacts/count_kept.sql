-- Triggers and row security act in silence: some may keep contacts that were to be erased.
SELECT count(*) AS row_count FROM contacts WHERE id = ANY (%(ids)s::uuid[]) AND lower(email) = lower(%(email)s::text)
