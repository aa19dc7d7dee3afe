-- A key whose row is there is free all the same, as if nobody had sent it,
--   1. when its answer is older than answers are kept;
--   2. when nobody has answered, and its request has shown no life for the lease: its process was killed. A server that
--      was down itself has not seen the beats of that time;
--   3. when its job is gone, or has ended before it was whole: a body that was refused, an upload that was cancelled or
--      abandoned, an answered one included whose object the storage has lost, or whose client did not come back.
-- A request that is refused or fails removes its row itself. One that is overtaken so, and is alive after all, finds
-- another claim_id when it wants to answer, and is refused: no key leads to two imports.
UPDATE idempotency_keys k
SET claim_id = %(claim_id)s, fingerprint = %(fingerprint)s, job_id = NULL, status = NULL, headers = NULL, body = NULL,
    body_sha256 = NULL, created_at = clock_timestamp(), touched_at = clock_timestamp()
WHERE scope = %(scope)s AND route = %(route)s AND key = %(key)s
  AND ((status IS NOT NULL AND touched_at < statement_timestamp() - make_interval(secs => %(kept_seconds)s))
       OR (status IS NULL AND touched_at < statement_timestamp() - make_interval(secs => %(lease_seconds)s)
           AND pg_postmaster_start_time() < statement_timestamp() - make_interval(secs => %(lease_seconds)s))
       OR (job_id IS NOT NULL
           AND NOT EXISTS (SELECT FROM jobs j
                           WHERE j.id = k.job_id
                             AND (j.state NOT IN ('failed', 'cancelled') OR j.bytes_total IS NOT NULL))))
RETURNING claim_id
