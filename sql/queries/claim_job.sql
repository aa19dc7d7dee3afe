-- The LIMIT sits in a MATERIALIZED CTE: as a plain subselect the planner may run it again and claim more than one. Due
-- by statement_timestamp(): clock_timestamp() is volatile and no condition of an index (0.6 ms instead of 4 to 9 with
-- 10,000 jobs that are not due).
-- Run on the connection that will do the COPY, so that the backend recorded is the one that holds the work; behind a
-- pooler that is somebody else's, and none is recorded. A job that has lost a worker runs alone, so only an idle worker
-- gets it; once it has waited for a minute the idle take it first, and busy ones finish what they have, for ten minutes of
-- every hour: longer would let one such job hold up everything behind one long import.
WITH alone AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE %(is_idle)s AND state = 'queued' AND losses > 0 AND run_at <= statement_timestamp() - INTERVAL '1 minute'
    ORDER BY run_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
), due AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE state = 'queued' AND run_at <= statement_timestamp() AND NOT EXISTS (SELECT FROM alone)
      AND (%(is_idle)s OR (losses = 0 AND NOT EXISTS (
               SELECT FROM jobs waiting
               WHERE waiting.state = 'queued' AND waiting.losses > 0
                 AND waiting.run_at <= statement_timestamp() - INTERVAL '1 minute'
                 AND extract(epoch FROM statement_timestamp() - waiting.run_at)::bigint %% 3600 < 660)))
    ORDER BY run_at, id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE jobs
SET state = 'running', attempt = attempt + 1, worker = %(worker)s,
    backend_pid = CASE WHEN %(is_direct)s THEN pg_backend_pid() END,
    backend_start = CASE WHEN %(is_direct)s
        THEN (SELECT a.backend_start FROM pg_stat_get_activity(pg_backend_pid()) a) END,
    started_at = clock_timestamp(), heartbeat_at = clock_timestamp(),
    rows_read = 0, rows_imported = 0, rows_updated = 0, rows_skipped = 0, rows_rejected = 0, rows_not_imported = 0,
    bytes_done = 0, issues = '[]', error = NULL
FROM (SELECT id FROM alone UNION ALL SELECT id FROM due) claimed
WHERE jobs.id = claimed.id
RETURNING jobs.id, kind, attempt, failures, max_failures, losses, source, object_key, bytes_total, format, digests,
          options, request_id, of_job, first_contact_id, last_contact_id, backend_pid
