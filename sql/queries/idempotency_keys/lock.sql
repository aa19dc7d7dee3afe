-- A statement of its own: what idempotency_keys/take_over.sql finds out about the job must be as new as the row.
SELECT fingerprint, status, headers, body, body_sha256, job_id FROM idempotency_keys
WHERE scope = %(scope)s AND route = %(route)s AND key = %(key)s
FOR UPDATE
