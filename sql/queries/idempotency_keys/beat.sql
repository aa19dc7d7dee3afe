-- The requests of one process that have not answered yet.
UPDATE idempotency_keys SET touched_at = clock_timestamp()
WHERE claim_id = ANY (%(claim_ids)s) AND status IS NULL
