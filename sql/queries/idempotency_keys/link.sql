-- In the transaction that inserts the job. No row returned: somebody has taken the key over.
WITH linked AS (
    UPDATE idempotency_keys SET job_id = %(job_id)s, touched_at = clock_timestamp()
    WHERE claim_id = %(claim_id)s AND status IS NULL
    RETURNING key
)
UPDATE jobs SET idempotency_key = linked.key FROM linked WHERE jobs.id = %(job_id)s
RETURNING jobs.id
