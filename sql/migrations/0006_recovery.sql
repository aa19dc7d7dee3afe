-- What recovery and the sweep need: a row that can be queued only while its file is kept, indexes on what they look
-- for, and a place for the sums of rows that are deleted, so that published counters never fall.
CREATE OR REPLACE FUNCTION dataflow_settle_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.state = old.state THEN
        RETURN new;
    END IF;
    IF old.state = 'succeeded' THEN
        RAISE EXCEPTION 'job % has succeeded; its contacts are committed, revert it instead', old.id;
    END IF;
    IF new.state IN ('succeeded', 'failed', 'cancelled') THEN
        new.finished_at = clock_timestamp();
        IF new.state <> 'succeeded' THEN
            -- Copied so far, but never committed.
            new.rows_imported = 0;
            new.rows_updated = 0;
            new.rows_skipped = 0;
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
        END IF;
    END IF;
    RETURN new;
END
$$;

-- An upload that ends early may not have said its source.
ALTER TABLE jobs DROP CONSTRAINT jobs_import_has_source;
ALTER TABLE jobs ADD CONSTRAINT jobs_import_has_source
    CHECK (kind <> 'import' OR source IS NOT NULL OR state IN ('uploading', 'cancelled')
           OR (state = 'failed' AND bytes_total IS NULL));
-- `infinity` would break every view of the age; a job is held back by a far date, or cancelled.
ALTER TABLE jobs ADD CONSTRAINT jobs_run_at_finite CHECK (isfinite(run_at));
COMMENT ON COLUMN jobs.digests IS
    '[[end_offset, sha256], ...], one for each request that delivered bytes; empty when there is no whole file (any more)';

-- Serves claim_job.sql: whether a job that must run alone has waited too long.
CREATE INDEX jobs_due_alone ON jobs (run_at) WHERE state = 'queued' AND losses > 0;
-- Serves leftovers.sql.
CREATE INDEX jobs_with_object ON jobs (finished_at)
    WHERE finished_at IS NOT NULL AND object_key IS NOT NULL AND object_deleted_at IS NULL;
-- Serves delete_old_jobs.sql.
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE job_totals (
    only_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
    jobs_deleted BIGINT NOT NULL DEFAULT 0,
    rows_imported BIGINT NOT NULL DEFAULT 0,
    rows_rejected BIGINT NOT NULL DEFAULT 0
);
INSERT INTO job_totals DEFAULT VALUES;
COMMENT ON TABLE job_totals IS 'DataFlow: the sums of succeeded jobs whose rows JOB_RETENTION_DAYS has removed';

DO $$
BEGIN
    IF to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL THEN
        ALTER TABLE job_totals ENABLE ROW LEVEL SECURITY;
        REVOKE ALL ON job_totals FROM anon, authenticated;
    END IF;
END
$$;
