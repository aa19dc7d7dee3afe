-- The LIMIT sits in a MATERIALIZED CTE: as a plain subselect the planner may run it again and claim more than one.
-- Run on the connection that will do the COPY, so that the backend recorded is the one that holds the work; behind a
-- pooler that is somebody else's, and none is recorded. A job that has lost a worker runs alone: only an idle worker
-- gets it, and once it has waited for a minute, busy ones finish what they have first.
WITH due AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE state = 'queued' AND run_at <= clock_timestamp()
      AND (%(is_idle)s OR (losses = 0 AND NOT EXISTS (
               SELECT FROM jobs alone
               WHERE alone.state = 'queued' AND alone.losses > 0
                 AND alone.run_at <= clock_timestamp() - INTERVAL '1 minute')))
    ORDER BY run_at, id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE jobs
SET state = 'running', attempt = attempt + 1, worker = %(worker)s,
    backend_pid = CASE WHEN %(is_direct)s THEN pg_backend_pid() END,
    backend_start = CASE WHEN %(is_direct)s
        THEN (SELECT a.backend_start FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()) END,
    started_at = clock_timestamp(), heartbeat_at = clock_timestamp(),
    rows_imported = 0, rows_rejected = 0, bytes_done = 0, issues = '[]', error = NULL
FROM due
WHERE jobs.id = due.id
RETURNING jobs.*
