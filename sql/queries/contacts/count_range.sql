-- Triggers and row security act in silence: some may keep contacts that were to be deleted, or give new ones other
-- ids.
SELECT count(*) AS row_count FROM contacts WHERE id >= %(first)s AND id <= %(last)s
