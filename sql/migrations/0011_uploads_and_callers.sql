-- Uploads that come in several requests, who has sent a job, and whether its content has come before. An upload with
-- `expires_at` is silent between its requests and stays open until then; its worker is the request that holds it.
ALTER TABLE jobs
    ADD COLUMN created_by TEXT,
    ADD COLUMN duplicate_of UUID,
    ADD COLUMN content_sha256 TEXT,
    ADD COLUMN expires_at TIMESTAMPTZ,
    ADD COLUMN upload_length BIGINT,
    ADD COLUMN upload_metadata TEXT;

COMMENT ON COLUMN jobs.created_by IS 'name of the API key that sent it; behind a # the id of the token made with that key';
COMMENT ON COLUMN jobs.duplicate_of IS 'an earlier job of the same source whose content had the same SHA-256';
COMMENT ON COLUMN jobs.content_sha256 IS 'SHA-256 of the whole content, once it is known';
COMMENT ON COLUMN jobs.expires_at IS 'of an upload in several requests (tus): how long the next of them is waited for';
COMMENT ON COLUMN jobs.upload_length IS 'how many bytes such an upload will have, once its client has said so';
COMMENT ON COLUMN jobs.upload_metadata IS 'its Upload-Metadata as the client sent it, for its HEAD requests';
COMMENT ON COLUMN jobs.attempt IS 'how often the job was claimed, or a request took hold of its upload; the fencing token, it only grows';

-- Serves duplicates of a content.
CREATE INDEX jobs_of_content ON jobs (content_sha256, source, id) WHERE content_sha256 IS NOT NULL;
-- Serves jobs/list.sql for the holder of a token.
CREATE INDEX jobs_of_creator ON jobs (created_by, id) WHERE created_by IS NOT NULL;

-- As in 0009_job_status.sql, but that an upload in several requests may wait for the next of them.
CREATE OR REPLACE VIEW job_status AS
WITH live AS (
    SELECT id, kind, state, source, failures, worker, options, error, run_at, created_at, upload_url, expires_at,
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
                         -- Between two requests of one upload nobody beats.
                         WHEN expires_at > statement_timestamp() AND worker IS NULL THEN 'waiting for its client'
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

-- As in 0008_held_jobs.sql: a view has the columns that its table had when it was made.
CREATE OR REPLACE VIEW held_jobs AS
SELECT * FROM jobs
WHERE (finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL))
  AND database_id < (SELECT dataflow_database_id())
UNION ALL
SELECT * FROM jobs
WHERE (finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL))
  AND database_id > (SELECT dataflow_database_id());
