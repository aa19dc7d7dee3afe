-- A million jobs in the table cost nobody anything: what is published of them is counted as they end and not when it is
-- asked for, every way to list them has its index, and the view for eyes reads only what it shows.
-- Whoever changes jobs waits until this is done: 7 s with 1,200,000 of them.
LOCK TABLE jobs IN SHARE ROW EXCLUSIVE MODE;

-- Rows that are added up. Nobody changes one, so that no two jobs wait for each other: what ends, is tried again or
-- deleted adds a row, and the sweep puts one row in the place of many (fold_counts.sql).
CREATE TABLE job_counts (
    jobs_succeeded BIGINT NOT NULL DEFAULT 0,
    jobs_failed BIGINT NOT NULL DEFAULT 0,
    jobs_cancelled BIGINT NOT NULL DEFAULT 0,
    rows_read BIGINT NOT NULL DEFAULT 0,
    rows_imported BIGINT NOT NULL DEFAULT 0,
    rows_updated BIGINT NOT NULL DEFAULT 0,
    rows_skipped BIGINT NOT NULL DEFAULT 0,
    rows_rejected BIGINT NOT NULL DEFAULT 0,
    rows_not_imported BIGINT NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE job_counts IS
    'DataFlow: its sums are the jobs in each final state, and the rows of all jobs that have ever ended; see triggers of jobs';

INSERT INTO job_counts
SELECT ended.jobs_succeeded, ended.jobs_failed, ended.jobs_cancelled, kept.rows_read + ended.rows_read,
       kept.rows_imported + ended.rows_imported, kept.rows_updated + ended.rows_updated,
       kept.rows_skipped + ended.rows_skipped, kept.rows_rejected + ended.rows_rejected,
       kept.rows_not_imported + ended.rows_not_imported
FROM job_totals kept, LATERAL (
    SELECT count(*) FILTER (WHERE state = 'succeeded') AS jobs_succeeded,
           count(*) FILTER (WHERE state = 'failed') AS jobs_failed,
           count(*) FILTER (WHERE state = 'cancelled') AS jobs_cancelled,
           coalesce(sum(rows_read), 0) AS rows_read,
           coalesce(sum(rows_imported), 0) AS rows_imported,
           coalesce(sum(rows_updated), 0) AS rows_updated,
           coalesce(sum(rows_skipped), 0) AS rows_skipped,
           coalesce(sum(rows_rejected), 0) AS rows_rejected,
           coalesce(sum(rows_not_imported), 0) AS rows_not_imported
    FROM jobs
    WHERE finished_at IS NOT NULL
) ended;
-- Under another name: what a process of the version before would make of it while this is rolled out is refused.
DROP TABLE job_totals;

-- What has been published is never taken back: not when a job is tried again or deleted, nor when somebody lowers a
-- count by hand. Jobs by state go up and down.
CREATE FUNCTION dataflow_count_job() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jobs;  -- null unless it had ended
    after jobs;  -- null unless it has
BEGIN
    IF TG_OP = 'UPDATE' AND old.finished_at IS NOT NULL THEN
        before = old;
    END IF;
    IF new.finished_at IS NOT NULL THEN
        after = new;
    END IF;
    INSERT INTO job_counts
    SELECT coalesce((after.state = 'succeeded')::integer, 0) - coalesce((before.state = 'succeeded')::integer, 0),
           coalesce((after.state = 'failed')::integer, 0) - coalesce((before.state = 'failed')::integer, 0),
           coalesce((after.state = 'cancelled')::integer, 0) - coalesce((before.state = 'cancelled')::integer, 0),
           greatest(after.rows_read - coalesce(before.rows_read, 0), 0),
           greatest(after.rows_imported - coalesce(before.rows_imported, 0), 0),
           greatest(after.rows_updated - coalesce(before.rows_updated, 0), 0),
           greatest(after.rows_skipped - coalesce(before.rows_skipped, 0), 0),
           greatest(after.rows_rejected - coalesce(before.rows_rejected, 0), 0),
           greatest(after.rows_not_imported - coalesce(before.rows_not_imported, 0), 0);
    RETURN NULL;
END
$$;
-- For each row, because a trigger with transition tables can have no condition: it would fire for every claim and beat.
CREATE TRIGGER jobs_count_inserted AFTER INSERT ON jobs
    FOR EACH ROW WHEN (new.finished_at IS NOT NULL) EXECUTE FUNCTION dataflow_count_job();
CREATE TRIGGER jobs_count_updated AFTER UPDATE OF
    state, rows_read, rows_imported, rows_updated, rows_skipped, rows_rejected, rows_not_imported ON jobs
    FOR EACH ROW WHEN (old.finished_at IS NOT NULL OR new.finished_at IS NOT NULL)
    EXECUTE FUNCTION dataflow_count_job();

CREATE FUNCTION dataflow_count_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_counts (jobs_succeeded, jobs_failed, jobs_cancelled)
    SELECT -count(*) FILTER (WHERE state = 'succeeded'), -count(*) FILTER (WHERE state = 'failed'),
           -count(*) FILTER (WHERE state = 'cancelled')
    FROM gone
    WHERE finished_at IS NOT NULL
    HAVING count(*) > 0;
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_count_deleted AFTER DELETE ON jobs
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION dataflow_count_deleted();

-- Its lock has let every other transaction that changes jobs end, so all that they have counted is seen (in read
-- committed, as everywhere here).
CREATE FUNCTION dataflow_count_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_counts (jobs_succeeded, jobs_failed, jobs_cancelled)
    SELECT -sum(jobs_succeeded), -sum(jobs_failed), -sum(jobs_cancelled) FROM job_counts HAVING count(*) > 0;
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_count_truncated AFTER TRUNCATE ON jobs
    FOR EACH STATEMENT EXECUTE FUNCTION dataflow_count_truncated();

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

-- No change of progress or of a beat touches an index, and a claim adds one entry more than before. Serves whatever looks
-- at work in progress, its counts by state, and lists of it.
DROP INDEX jobs_unfinished;
CREATE INDEX jobs_unfinished ON jobs (state, id) WHERE state IN ('uploading', 'queued', 'running');
-- Serve list_jobs.sql. What is uploading or running is little enough to be looked through for a source.
CREATE INDEX jobs_ended ON jobs (state, id) WHERE state IN ('succeeded', 'failed', 'cancelled');
CREATE INDEX jobs_of_source ON jobs (source, id);
CREATE INDEX jobs_of_source_by_state ON jobs (source, state, id)
    WHERE state IN ('queued', 'succeeded', 'failed', 'cancelled');
-- Beside jobs_with_object: files that can go soon, which those that are kept for days must not hide. Serves leftovers.sql.
CREATE INDEX jobs_with_settled_object ON jobs (finished_at, id)
    WHERE finished_at IS NOT NULL AND object_key IS NOT NULL AND object_deleted_at IS NULL
        AND (state = 'succeeded' OR digests = '[]' OR upload_url IS NOT NULL);
-- Serves find_revert.sql.
CREATE INDEX jobs_reverts ON jobs (of_job) WHERE kind = 'revert';

-- A tenth of a million rows is a whole queue: statistics that old have the planner look for it in the wrong place.
ALTER TABLE jobs SET (autovacuum_analyze_scale_factor = 0.01);

-- One time for the whole statement, or the planner could not look into the view: it would read all jobs to show four. For
-- the same reason what the server knows of a running job is asked for each of them, and not joined with all jobs.
DROP VIEW job_status;
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
           END AS is_backend_gone
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
       CASE state
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
       END AS health,
       split_part(error, E'\n', 1) AS error
FROM measured
ORDER BY id DESC;

COMMENT ON VIEW job_status IS 'DataFlow: the jobs, newest first, as a person wants to see them';

DO $$
BEGIN
    IF to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL THEN
        ALTER TABLE job_counts ENABLE ROW LEVEL SECURITY;
        REVOKE ALL ON job_counts, job_status FROM anon, authenticated;
    END IF;
END
$$;
