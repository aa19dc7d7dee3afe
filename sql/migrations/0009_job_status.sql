-- The jobs table for eyes: what is going on, how fast, until when, and whether somebody is still at it.

-- The sessions that keep a server process waiting for a lock, as far as this role may know; null while it does not
-- wait. They are asked for only then, as the answer holds up everybody who locks. Declared stable for the sake of the
-- view: the planner could not look into that otherwise.
CREATE FUNCTION dataflow_lock_holders(waiting_pid integer, started_at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(DISTINCT CASE WHEN holder = 0 THEN 'a prepared transaction'
                                    ELSE format('session %s (%s)', holder, h.application_name) END, ', ')
    FROM pg_stat_get_activity(waiting_pid) w,
         unnest(pg_blocking_pids(w.pid)) holder
         LEFT JOIN LATERAL pg_stat_get_activity(holder) h ON true
    WHERE w.wait_event_type = 'Lock' AND coalesce(w.backend_start, started_at) = started_at
$$;
COMMENT ON FUNCTION dataflow_lock_holders IS 'DataFlow: the sessions that keep this one waiting for a lock';

-- The planner has to look into the view, or it would read all jobs to show four: so there is one time for the whole
-- statement, and the server is asked about each running job instead of joined with all jobs. Rows of a running import
-- come live from the server's own COPY counter. Where a role may not see backend_start, the pid alone has to do.
-- Percent and time left go on between two beats at the rate so far, by half of what is left at most: a guess must leave
-- a way back, and nobody guesses the end. They stand still while an import waits for a lock.
CREATE VIEW job_status AS
WITH live AS (
    SELECT id, kind, state, source, failures, worker, options, error, run_at, created_at, upload_url,
           rows_updated, rows_skipped, rows_rejected, rows_not_imported, rows_read, bytes_done, bytes_total,
           CASE WHEN kind = 'revert' THEN reverted_rows
                WHEN state = 'running' THEN greatest(rows_imported, (
                    SELECT c.tuples_processed FROM pg_stat_progress_copy c
                    WHERE c.pid = j.backend_pid AND c.relid = to_regclass('contacts')
                      AND EXISTS (SELECT FROM pg_stat_get_activity(j.backend_pid) a
                                  WHERE coalesce(a.backend_start, j.backend_start) = j.backend_start)))
                ELSE rows_imported END AS row_count,
           CASE WHEN state = 'running' THEN statement_timestamp() - started_at
                ELSE finished_at - started_at END AS duration,
           statement_timestamp() - heartbeat_at AS silence,
           CASE WHEN state = 'running' AND backend_pid IS NOT NULL
                THEN NOT EXISTS (SELECT FROM pg_stat_get_activity(j.backend_pid) a
                                 WHERE coalesce(a.backend_start, j.backend_start) = j.backend_start)
           END AS is_backend_gone,
           CASE WHEN state = 'running' AND backend_pid IS NOT NULL
                THEN dataflow_lock_holders(backend_pid, backend_start) END AS lock_holders,
           -- A rate of less than a second is none.
           CASE WHEN state = 'running' AND heartbeat_at - started_at >= INTERVAL '1 second'
                THEN extract(epoch FROM heartbeat_at - started_at) END AS seconds_at_beat,
           (finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL))
               AND database_id <> (SELECT dataflow_database_id()) AS is_held
    FROM jobs j
), measured AS (
    SELECT live.*,
           greatest(rows_read / coalesce(seconds_at_beat, nullif(extract(epoch FROM duration), 0)),
                    row_count / nullif(extract(epoch FROM duration), 0)) AS rows_per_second,
           CASE WHEN lock_holders IS NULL AND seconds_at_beat IS NOT NULL
                THEN greatest(least(extract(epoch FROM silence), 10), 0) / seconds_at_beat ELSE 0 END AS since_beat,
           bytes_done::numeric / nullif(bytes_total, 0) AS done_at_beat
    FROM live
), projected AS (
    SELECT measured.*,
           CASE WHEN state = 'running' AND done_at_beat IS NOT NULL
                THEN least(done_at_beat + least(done_at_beat * since_beat, (1 - done_at_beat) / 2), 0.999)
                ELSE done_at_beat END AS done
    FROM measured
)
SELECT id,
       kind,
       state,
       source,
       date_trunc('second', statement_timestamp() - created_at) AS age,
       date_trunc('milliseconds', duration) AS running_for,
       row_count AS rows,
       rows_updated AS updated,
       rows_skipped AS skipped,
       rows_rejected AS rejected,
       rows_not_imported AS not_imported,
       rows_read AS read,
       CASE WHEN state = 'succeeded' THEN 100.0 ELSE round(100 * done, 1) END AS percent,
       round(rows_per_second) AS "rows/s",
       CASE WHEN state = 'running' AND done > 0
            THEN date_trunc('second', duration * ((1 - done) / done)::double precision) END AS eta,
       failures,
       worker,
       CASE WHEN state IN ('uploading', 'running') THEN date_trunc('second', silence) END AS beat_age,
       CASE WHEN is_held THEN 'held: made in another database, see dataflow adopt'
            ELSE CASE state
                WHEN 'queued' THEN
                    CASE WHEN run_at > statement_timestamp()
                         THEN 'waiting ' || date_trunc('second', run_at - statement_timestamp()) ELSE 'waiting' END
                WHEN 'running' THEN
                    CASE WHEN is_backend_gone OR silence > INTERVAL '30 seconds' THEN 'orphan'
                         WHEN lock_holders IS NOT NULL
                         THEN 'waiting for a lock held by ' || lock_holders
                         WHEN silence > INTERVAL '15 seconds' THEN 'late' ELSE 'ok' END
                WHEN 'uploading' THEN
                    -- The storage has every byte and makes an object of them.
                    CASE WHEN upload_url IS NOT NULL AND bytes_total IS NOT NULL THEN 'completing'
                         WHEN silence > INTERVAL '150 seconds' THEN 'orphan'
                         WHEN silence > INTERVAL '60 seconds' THEN 'late' ELSE 'ok' END
                WHEN 'succeeded' THEN
                    CASE WHEN options ->> 'dryRun' = 'true' THEN 'dry run'
                         WHEN rows_rejected > 0 THEN 'partial' ELSE 'complete' END
            END
       END AS health,
       split_part(error, E'\n', 1) AS error
FROM projected
ORDER BY id DESC;

COMMENT ON VIEW job_status IS 'DataFlow: the jobs, newest first, as a person wants to see them';
