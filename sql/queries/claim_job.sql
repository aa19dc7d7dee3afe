-- The LIMIT sits in a MATERIALIZED CTE: as a plain subselect the planner may run it again and claim more than one.
-- Run on the connection that will do the COPY, so that the backend recorded is the one that holds the work.
WITH due AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE state = 'queued' AND run_at <= clock_timestamp()
    ORDER BY run_at, id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE jobs
SET state = 'running', attempt = attempt + 1, worker = %(worker)s, backend_pid = pg_backend_pid(),
    backend_start = (SELECT a.backend_start FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()),
    started_at = clock_timestamp(), heartbeat_at = clock_timestamp(),
    rows_imported = 0, rows_rejected = 0, bytes_done = 0, issues = '[]', error = NULL
FROM due
WHERE jobs.id = due.id
RETURNING jobs.*
