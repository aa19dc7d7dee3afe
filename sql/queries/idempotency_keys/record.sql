-- In the transaction that queues the job: whoever sends the same again, because the answer was lost, is led to that job.
-- No row returned: somebody has taken the key over.
UPDATE idempotency_keys
SET job_id = %(job_id)s, status = %(status)s, headers = %(headers)s, body = %(body)s, body_sha256 = %(body_sha256)s,
    touched_at = clock_timestamp()
WHERE claim_id = %(claim_id)s
RETURNING claim_id
