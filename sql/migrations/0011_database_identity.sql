-- A dump carries the jobs of a database, and not their files: those are in the storage, where the jobs of the original
-- still need them. Each job says in which database it was made, and what was made in another one is held: nobody runs
-- it, nobody reads or deletes its file, until somebody says whose it is (dataflow adopt). Nothing has to notice the
-- moment of the copy, and no clocks are compared: what the copy makes is of the copy from its first row on.

-- Both numbers are others after a dump is restored, in a database made of a template, on a logical subscriber and after
-- pg_upgrade; on a standby that is promoted they stay. Any role may ask for them. Stable, so that rows which are there
-- get it without being written anew: they are taken to be at home.
CREATE FUNCTION dataflow_database_id() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (pg_catalog.pg_control_system()).system_identifier || '/'
        || (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database());
END
$$;
COMMENT ON FUNCTION dataflow_database_id() IS
    'DataFlow: system identifier of the server and oid of the database, which no dump takes along';

ALTER TABLE jobs ADD COLUMN database_id TEXT NOT NULL DEFAULT dataflow_database_id();
COMMENT ON COLUMN jobs.database_id IS
    'the database that the job was made in, or adopted by; what is of another one is held until dataflow adopt';

-- Serves claim_job.sql, next_due.sql and the age of the oldest waiting job: a queue that is held is not looked through.
DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (database_id, run_at, id) WHERE state = 'queued';
-- Serves held_jobs: all that can be held, to be looked up by where it was made.
CREATE INDEX jobs_holdable ON jobs (database_id)
    WHERE finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL);

-- As two ranges, each by the index, and both are empty where all jobs are at home.
CREATE VIEW held_jobs AS
SELECT * FROM jobs
WHERE (finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL))
  AND database_id < (SELECT dataflow_database_id())
UNION ALL
SELECT * FROM jobs
WHERE (finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL))
  AND database_id > (SELECT dataflow_database_id());
COMMENT ON VIEW held_jobs IS 'DataFlow: jobs that came with a dump or a copy, and are left alone until dataflow adopt';

-- Replaced in place, so that whoever was allowed to read it still is.
CREATE OR REPLACE VIEW job_status AS
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
           (finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL))
               AND database_id <> (SELECT dataflow_database_id()) AS is_held
    FROM jobs j
), measured AS (
    SELECT live.*,
           greatest(rows_read, row_count) / nullif(extract(epoch FROM duration), 0) AS rows_per_second,
           bytes_done::numeric / nullif(bytes_total, 0) AS done
    FROM live
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
FROM measured
ORDER BY id DESC;

DO $$
BEGIN
    IF to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL THEN
        REVOKE ALL ON held_jobs FROM anon, authenticated;
    END IF;
END
$$;
