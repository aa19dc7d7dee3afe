-- The LIMIT sits in a MATERIALIZED CTE: as a plain subselect the planner may run it again and claim more than one. Due
-- by statement_timestamp(): clock_timestamp() is volatile and no condition of an index (0.6 ms instead of 4 to 9 with
-- 10,000 jobs that are not due).
-- Run on the connection that will do the COPY, so that the backend recorded is the one that holds the work; behind a
-- pooler that is somebody else's, and none is recorded. A job that has lost two workers runs alone, so only an idle
-- worker gets it, and takes it before all others: it may not be idle again soon. If none is within two seconds, busy ones
-- take nothing until they are: for 28 seconds, which is enough for small imports and short enough for whoever waits
-- behind them. For longer ones again after a minute, for ten minutes of every hour: more would let one such job hold up
-- everything. What was made in another database is held; to be told in which one we are saves a tenth of the time.
WITH alone AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE %(is_idle)s AND database_id = coalesce(%(database_id)s, dataflow_database_id())
      AND state = 'queued' AND losses > 1 AND run_at <= statement_timestamp()
    ORDER BY run_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
), due AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE database_id = coalesce(%(database_id)s, dataflow_database_id()) AND state = 'queued'
      AND run_at <= statement_timestamp() AND NOT EXISTS (SELECT FROM alone)
      AND (%(is_idle)s OR (losses < 2 AND NOT EXISTS (
               SELECT FROM (
                   SELECT extract(epoch FROM statement_timestamp() - run_at)::bigint AS seconds FROM jobs
                   WHERE database_id = coalesce(%(database_id)s, dataflow_database_id())
                     AND state = 'queued' AND losses > 1
                   ORDER BY run_at
                   LIMIT 1) waiting
               WHERE seconds BETWEEN 2 AND 29 OR seconds %% 3600 BETWEEN 60 AND 659)))
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
    rows_exported = 0, bytes_done = 0, issues = '[]', error = NULL
FROM (SELECT id FROM alone UNION ALL SELECT id FROM due) claimed
WHERE jobs.id = claimed.id
RETURNING jobs.id, kind, attempt, failures, max_failures, losses, source, object_key, bytes_total, format, content_type,
          file_name, digests,
          options, request_id, of_job, first_contact_id, last_contact_id, backend_pid
