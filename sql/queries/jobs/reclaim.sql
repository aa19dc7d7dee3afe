-- The jobs of workers that are gone, by one of two signs. Either the backend of the work has left the server, and so
-- have all other sessions of the worker: a living worker settles its jobs itself, and has time to connect again after
-- a crash of the server. Or there was no sign of life for a lease, watched for longer than a beat, because whoever
-- locked the row may just have let go. SKIP LOCKED leaves a job in its final commit alone.
-- A backend that went with the whole server is a failed attempt and no lost worker. A first loss is put down to the
-- platform and costs nothing; a second makes the file suspect, and both are charged. A job whose file was removed can
-- only fail. Where a role may not see backend_start, the pid alone decides. A held job ran in another database, where
-- its worker may well be alive.
WITH lost AS MATERIALIZED (
    SELECT j.id, j.worker, j.backend_pid, j.backend_start,
           j.heartbeat_at < statement_timestamp() - make_interval(secs => %(lease_seconds)s) AS is_expired,
           CASE WHEN j.backend_start <= pg_postmaster_start_time() THEN 0 ELSE 1 END AS loss,
           CASE WHEN j.backend_start <= pg_postmaster_start_time() THEN 1 WHEN j.losses = 0 THEN 0
                WHEN j.losses = 1 THEN 2 ELSE 1 END AS charge,
           j.kind <> 'import' OR (j.digests <> '[]' AND j.object_deleted_at IS NULL) AS has_file
    FROM jobs j
    WHERE j.state = 'running' AND j.id <> ALL (%(own)s) AND j.database_id = (SELECT dataflow_database_id())
      AND ((j.id = ANY (%(overdue)s)
            AND j.heartbeat_at < statement_timestamp() - make_interval(secs => %(lease_seconds)s))
           OR (%(is_direct)s AND j.backend_start IS NOT NULL
               AND NOT EXISTS (
                   SELECT FROM pg_stat_activity a
                   WHERE a.pid = j.backend_pid AND coalesce(a.backend_start, j.backend_start) = j.backend_start)
               AND (j.worker = %(worker)s OR (%(is_settled)s AND NOT EXISTS (
                   SELECT FROM pg_stat_activity a
                   WHERE starts_with(a.application_name, 'dataflow/' || j.worker || '/'))))))
    FOR UPDATE OF j SKIP LOCKED
)
UPDATE jobs
SET state = CASE WHEN failures + charge < max_failures AND has_file THEN 'queued' ELSE 'failed' END,
    failures = failures + charge,
    losses = losses + loss,
    rows_imported = 0,
    bytes_done = 0,
    run_at = clock_timestamp() + make_interval(secs =>
        CASE WHEN charge = 0 OR (loss = 0 AND failures = 0) THEN 0
             ELSE least(%(retry_max_seconds)s, %(retry_base_seconds)s * 2 ^ least(failures, 20)) * (0.5 + random()) END),
    error = CASE WHEN kind = 'revert'
        THEN format('worker_lost: Worker %%s went away in attempt %%s (%%s of %%s); %%s contacts are gone.',
                    lost.worker, attempt, failures + greatest(charge, 1), max_failures, reverted_rows)
        ELSE format('worker_lost: Worker %%s went away at row %%s of attempt %%s (%%s of %%s); nothing of it was kept.',
                    lost.worker, rows_imported, attempt, failures + greatest(charge, 1), max_failures) END
FROM lost
WHERE jobs.id = lost.id
RETURNING jobs.id, jobs.state, jobs.attempt, jobs.failures, jobs.losses, jobs.request_id, lost.worker,
          lost.backend_pid, lost.backend_start, lost.is_expired
