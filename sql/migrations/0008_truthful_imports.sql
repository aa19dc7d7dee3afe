-- Every row of a file is accounted for: counts that add up, in every row of jobs that has ended and whoever ended it, and
-- the refused rows themselves. A revert is a job of its own, one unfinished for each import.
ALTER TABLE jobs
    ADD COLUMN rows_read BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN rows_not_imported BIGINT NOT NULL DEFAULT 0;
UPDATE jobs SET rows_read = rows_imported + rows_updated + rows_skipped + rows_rejected WHERE finished_at IS NOT NULL;
ALTER TABLE jobs
    ADD CONSTRAINT jobs_counts_add_up CHECK (finished_at IS NULL OR rows_read =
        rows_imported + rows_updated + rows_skipped + rows_rejected + rows_not_imported),
    ADD CONSTRAINT jobs_revert_has_import CHECK ((kind = 'revert') = (of_job IS NOT NULL));
CREATE UNIQUE INDEX jobs_one_revert ON jobs (of_job) WHERE kind = 'revert' AND state IN ('queued', 'running');

COMMENT ON COLUMN jobs.rows_read IS 'rows of the file: imported + updated + skipped + rejected + not imported';
COMMENT ON COLUMN jobs.rows_not_imported IS 'valid rows of an import that failed or was cancelled, or of a dry run';
COMMENT ON COLUMN jobs.rows_updated IS 'rows that changed contacts which were there (onConflict=update)';
COMMENT ON COLUMN jobs.rows_skipped IS 'valid rows left out because their e-mail was there already, or again in the file';
COMMENT ON COLUMN jobs.format IS 'format of the content as recognised: json, ndjson, csv, vcard or xlsx';
COMMENT ON COLUMN jobs.options IS 'what the client asked for: onInvalid, maxRejects, onConflict, dryRun, mapping, ...';
COMMENT ON COLUMN jobs.detected IS 'what was found out about the file: encoding, delimiter, header line, columns, mapping, ...';
COMMENT ON COLUMN jobs.issues IS 'what is wrong with the first refused rows, at most 100: path and message; all are in rejects';
COMMENT ON COLUMN jobs.first_contact_id IS 'first contact of the import; its contacts are the range up to last_contact_id. Of a revert: where it goes on';
COMMENT ON COLUMN jobs.reverted_at IS 'when the import was undone completely';
COMMENT ON COLUMN jobs.reverted_rows IS 'contacts that undoing has removed so far';

CREATE TABLE rejects (
    job_id UUID NOT NULL,
    record BIGINT NOT NULL,
    line BIGINT,
    field TEXT,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    name TEXT,
    email TEXT,
    original TEXT NOT NULL,
    truncated BOOLEAN NOT NULL DEFAULT false,
    PRIMARY KEY (job_id, record)
);
COMMENT ON TABLE rejects IS 'DataFlow: the refused rows of imports; DELETE /jobs/{id} and JOB_RETENTION_DAYS remove them';
COMMENT ON COLUMN rejects.record IS 'the row''s number in its file, from 1, without header and blank lines';
COMMENT ON COLUMN rejects.line IS 'the physical line on which it begins, from 1; null in a JSON document';
COMMENT ON COLUMN rejects.field IS 'name or email; null when the row as a whole is at fault';
COMMENT ON COLUMN rejects.code IS 'what is wrong, one of a small set that README explains';
COMMENT ON COLUMN rejects.name IS 'what would have been the name, if it is text';
COMMENT ON COLUMN rejects.email IS 'what would have been the e-mail, if it is text';
COMMENT ON COLUMN rejects.original IS 'the row as it came: a JSON array of its cells, or its text';
COMMENT ON COLUMN rejects.truncated IS 'whether something of original, name or email was cut to fit';

-- No foreign key: it would be checked once for each of a hundred thousand rows. Nobody writes rejects but the
-- transaction that settles their job.
CREATE FUNCTION dataflow_delete_rejects() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gone WHERE rows_rejected > 0) THEN
        DELETE FROM rejects USING gone WHERE rejects.job_id = gone.id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_delete_rejects AFTER DELETE ON jobs
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION dataflow_delete_rejects();

ALTER TABLE job_totals
    ADD COLUMN rows_read BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN rows_updated BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN rows_skipped BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN rows_not_imported BIGINT NOT NULL DEFAULT 0;
UPDATE job_totals SET rows_read = rows_imported + rows_rejected;
COMMENT ON TABLE job_totals IS
    'DataFlow: what jobs had counted that JOB_RETENTION_DAYS has removed, or that were tried again after they had ended';

-- What a retry forgets has been published: it goes into the totals, so that no counter falls.
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
            new.rows_read = greatest(new.rows_read, new.rows_rejected);
            new.rows_not_imported = new.rows_read - new.rows_rejected;
        ELSIF new.rows_read = 0 AND new.rows_imported > 0 THEN
            -- A worker of the version before, which still runs while this is migrated, does not count rows read. What it
            -- does not know it would get wrong: then it gives the job back (a failed serialization is tried again).
            IF new.options ->> 'dryRun' = 'true' OR new.options ->> 'onConflict' <> 'insert' THEN
                RAISE EXCEPTION 'job % needs a newer worker', old.id USING ERRCODE = 'serialization_failure';
            END IF;
            new.rows_read = new.rows_imported + new.rows_rejected;
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
            UPDATE job_totals
            SET rows_read = rows_read + old.rows_read, rows_rejected = rows_rejected + old.rows_rejected,
                rows_not_imported = rows_not_imported + old.rows_not_imported
            WHERE old.rows_read > 0;
            DELETE FROM rejects WHERE job_id = old.id;
        END IF;
        new.rows_imported = 0;
        new.rows_updated = 0;
        new.rows_skipped = 0;
        new.rows_rejected = 0;
        new.rows_read = 0;
        new.rows_not_imported = 0;
        new.bytes_done = 0;
        new.issues = '[]';
    END IF;
    RETURN new;
END
$$;

DROP VIEW job_status;
CREATE VIEW job_status AS
WITH live AS (
    SELECT j.*,
           CASE WHEN j.kind = 'revert' THEN j.reverted_rows
                WHEN j.state = 'running' THEN greatest(j.rows_imported, c.tuples_processed)
                ELSE j.rows_imported END AS row_count,
           CASE WHEN j.state = 'running' THEN clock_timestamp() - j.started_at
                ELSE j.finished_at - j.started_at END AS duration,
           clock_timestamp() - j.heartbeat_at AS silence,
           j.backend_pid IS NOT NULL AND a.pid IS NULL AS is_backend_gone
    FROM jobs j
    LEFT JOIN pg_stat_activity a
        ON j.state = 'running' AND a.pid = j.backend_pid
        AND coalesce(a.backend_start, j.backend_start) = j.backend_start
    LEFT JOIN pg_stat_progress_copy c ON c.pid = a.pid AND c.relid = to_regclass('contacts')
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
       date_trunc('second', clock_timestamp() - created_at) AS age,
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
       CASE state
            WHEN 'queued' THEN
                CASE WHEN run_at > clock_timestamp()
                     THEN 'waiting ' || date_trunc('second', run_at - clock_timestamp()) ELSE 'waiting' END
            WHEN 'running' THEN
                CASE WHEN is_backend_gone OR silence > INTERVAL '30 seconds' THEN 'orphan'
                     WHEN silence > INTERVAL '15 seconds' THEN 'late' ELSE 'ok' END
            WHEN 'uploading' THEN
                CASE WHEN silence > INTERVAL '150 seconds' THEN 'orphan'
                     WHEN silence > INTERVAL '60 seconds' THEN 'late' ELSE 'ok' END
            WHEN 'succeeded' THEN
                CASE WHEN options ->> 'dryRun' = 'true' THEN 'dry run'
                     WHEN rows_rejected > 0 THEN 'partial' ELSE 'complete' END
       END AS health,
       split_part(error, E'\n', 1) AS error
FROM measured
ORDER BY id DESC;

COMMENT ON VIEW job_status IS 'DataFlow: the jobs, newest first, as a person wants to see them';

DO $$
BEGIN
    IF to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL THEN
        ALTER TABLE rejects ENABLE ROW LEVEL SECURITY;
        REVOKE ALL ON rejects, job_status FROM anon, authenticated;
    END IF;
END
$$;
