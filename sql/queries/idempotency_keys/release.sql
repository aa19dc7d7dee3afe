-- The key of a request that was not answered with success. Guarded: the answer may be lost and the job queued.
DELETE FROM idempotency_keys WHERE claim_id = %(claim_id)s AND status IS NULL
