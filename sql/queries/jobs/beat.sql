-- Fenced: no row means that the job was cancelled or belongs to another attempt, and this one has to stop. NOWAIT,
-- because a row in its final commit would make the beats of all other jobs wait.
WITH mine AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'
    FOR UPDATE NOWAIT
)
UPDATE jobs
SET heartbeat_at = clock_timestamp(), rows_read = %(rows_read)s, rows_imported = %(rows_imported)s,
    rows_rejected = %(rows_rejected)s, rows_exported = %(rows_exported)s, bytes_done = %(bytes_done)s
FROM mine
WHERE jobs.id = mine.id
RETURNING jobs.id
