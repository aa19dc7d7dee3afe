-- Exports as jobs: what one has written, how long its file is kept, and what attempts may have left in the storage.
ALTER TABLE jobs
    ADD COLUMN rows_exported BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN kept_until TIMESTAMPTZ;

COMMENT ON COLUMN jobs.rows_exported IS 'contacts written into the file of an export; while running, so far';
COMMENT ON COLUMN jobs.kept_until IS 'when the file that a job has made goes; it can be fetched until then';
COMMENT ON COLUMN jobs.source IS
    'where the contacts come from, copied into every contact; the only source of an export, null when it may have several';
COMMENT ON COLUMN jobs.file_name IS 'the name of the uploaded file, when the client gave one; of an export that of its file';
COMMENT ON COLUMN jobs.bytes_done IS
    'bytes received while uploading, bytes of the object read while running; of an export, stored so far';
COMMENT ON COLUMN jobs.bytes_total IS 'size of the body in bytes, once all of them are stored; of an export that of its file';
COMMENT ON COLUMN jobs.object_key IS 'key in the storage bucket of the uploaded body, or of the file that an export has made';
COMMENT ON COLUMN jobs.format IS 'format of the content as recognised, or as an export was asked for: json, ndjson, csv, vcard or xlsx';
COMMENT ON COLUMN jobs.options IS
    'what the client asked for: onInvalid, maxRejects, onConflict, dryRun, mapping, ...; of an export which contacts, too';
COMMENT ON COLUMN jobs.first_contact_id IS
    'first contact of the import; its contacts are the range up to last_contact_id. Of a revert: where it goes on';

-- Whose jobs somebody with some sources sees, or anybody with all of them: of these sources, and of what has none (an
-- upload that has not said it yet, an export of several) his own, as long as he may use all that it has.
CREATE FUNCTION dataflow_is_visible(source TEXT, created_by TEXT, options JSONB, sources TEXT[], caller TEXT)
RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sources IS NULL OR source = ANY (sources)
        OR (source IS NULL AND created_by = caller AND coalesce(options -> 'sources', '[]') <@ to_jsonb(sources))
$$;

-- Serves lists of the kinds of which there are few, and the exports that erasing a person looks through.
CREATE INDEX jobs_of_kind ON jobs (kind, id) WHERE kind <> 'import';
-- Serve jobs/leftovers.sql: files that are kept until their time is over are no longer among those that can go soon.
CREATE INDEX jobs_with_kept_file ON jobs (kept_until)
    WHERE kept_until IS NOT NULL AND object_key IS NOT NULL AND object_deleted_at IS NULL;
DROP INDEX jobs_with_settled_object;
CREATE INDEX jobs_with_settled_object ON jobs (finished_at, id)
    WHERE finished_at IS NOT NULL AND object_key IS NOT NULL AND object_deleted_at IS NULL AND kept_until IS NULL
        AND (state = 'succeeded' OR digests = '[]' OR upload_url IS NOT NULL);

-- Objects that attempts at jobs write. Each attempt has a key of its own, and its row is here before anything is sent;
-- it goes in the transaction in which the job takes the object, or when the object was removed. `ended_at` is when the
-- attempt was found to be over.
CREATE TABLE unfinished_objects (
    object_key TEXT PRIMARY KEY,
    job_id UUID NOT NULL,
    attempt INTEGER NOT NULL,
    upload_url TEXT,
    begun_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    ended_at TIMESTAMPTZ,
    database_id TEXT NOT NULL DEFAULT dataflow_database_id()
);
COMMENT ON TABLE unfinished_objects IS
    'DataFlow: objects that attempts at jobs are writing, or have left; the sweep removes what no job has taken';
COMMENT ON COLUMN unfinished_objects.object_key IS 'key in the storage bucket, of this attempt alone';
COMMENT ON COLUMN unfinished_objects.upload_url IS 'the storage''s address of the upload, once it has one';
COMMENT ON COLUMN unfinished_objects.ended_at IS 'when the attempt was found to be over; its object is removed from then on';
COMMENT ON COLUMN unfinished_objects.database_id IS 'as in jobs: what is of another database is left alone until dataflow adopt';

-- As in 0007_job_triggers.sql, with the rows of an export.
CREATE OR REPLACE FUNCTION dataflow_settle_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.state = old.state THEN
        RETURN new;
    END IF;
    IF old.state = 'succeeded' THEN
        RAISE EXCEPTION 'job % has succeeded; %', old.id, CASE old.kind
            WHEN 'import' THEN 'its contacts are committed, revert it instead' ELSE 'there is nothing left to do' END;
    END IF;
    IF new.state IN ('succeeded', 'failed', 'cancelled') THEN
        new.finished_at = clock_timestamp();
        IF new.state <> 'succeeded' THEN
            -- Copied so far, but never committed.
            new.rows_imported = 0;
            new.rows_updated = 0;
            new.rows_skipped = 0;
            new.rows_exported = 0;
            new.rows_read = greatest(new.rows_read, new.rows_rejected);
            new.rows_not_imported = new.rows_read - new.rows_rejected;
        END IF;
    ELSIF new.state = 'queued' THEN
        IF new.kind = 'import' AND (new.digests = '[]' OR new.object_deleted_at IS NOT NULL) THEN
            RAISE EXCEPTION 'job % cannot be queued: its file is not kept, or was never received as a whole', old.id;
        END IF;
        new.finished_at = NULL;
        new.worker = NULL;
        new.backend_pid = NULL;
        new.backend_start = NULL;
        new.heartbeat_at = NULL;
        IF new.run_at IS NOT DISTINCT FROM old.run_at THEN
            new.run_at = clock_timestamp();
        END IF;
        IF old.finished_at IS NOT NULL THEN
            new.failures = 0;
            DELETE FROM rejects WHERE job_id = old.id;
        END IF;
        new.rows_imported = 0;
        new.rows_updated = 0;
        new.rows_skipped = 0;
        new.rows_rejected = 0;
        new.rows_read = 0;
        new.rows_not_imported = 0;
        new.rows_exported = 0;
        new.bytes_done = 0;
        new.issues = '[]';
    END IF;
    RETURN new;
END
$$;

-- As in 0011_uploads_and_callers.sql, with the rows of an export.
CREATE OR REPLACE VIEW job_status AS
WITH live AS (
    SELECT id, kind, state, source, failures, worker, options, error, run_at, created_at, upload_url, expires_at,
           rows_updated, rows_skipped, rows_rejected, rows_not_imported, rows_read, bytes_done, bytes_total,
           CASE WHEN kind = 'revert' THEN reverted_rows
                WHEN state = 'running' THEN greatest(rows_imported, rows_exported, (
                    SELECT c.tuples_processed FROM pg_stat_progress_copy c
                    WHERE c.pid = j.backend_pid AND (c.relid = to_regclass('contacts') OR c.command = 'COPY TO')
                      AND EXISTS (SELECT FROM pg_stat_get_activity(j.backend_pid) a
                                  WHERE coalesce(a.backend_start, j.backend_start) = j.backend_start)))
                ELSE greatest(rows_imported, rows_exported) END AS row_count,
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

-- As in 0010_supabase_roles.sql.
DO $$
BEGIN
    IF to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL THEN
        ALTER TABLE unfinished_objects ENABLE ROW LEVEL SECURITY;
        REVOKE ALL ON unfinished_objects FROM anon, authenticated;
    END IF;
END
$$;
