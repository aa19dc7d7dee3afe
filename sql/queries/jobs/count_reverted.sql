-- On the import, before the row of the revert: everybody locks the two in this order. No row when the import has been
-- deleted meanwhile.
UPDATE jobs
SET reverted_rows = coalesce(reverted_rows, 0) + %(rows)s,
    reverted_at = coalesce(reverted_at, CASE WHEN %(is_done)s THEN clock_timestamp() END)
WHERE id = %(of_job)s
