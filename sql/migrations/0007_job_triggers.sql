-- Rules that hold whoever writes a job, a person in psql included.

-- A change of state leaves a legal row.
CREATE FUNCTION dataflow_settle_state() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER jobs_settle_state BEFORE UPDATE OF state ON jobs
    FOR EACH ROW EXECUTE FUNCTION dataflow_settle_state();

-- An upload whose address is still there is not an object yet, whatever else its row says: it cannot be queued, and one
-- that ends so has never been a whole file.
CREATE FUNCTION dataflow_guard_open_upload() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.state NOT IN ('failed', 'cancelled') THEN
        RAISE EXCEPTION 'job % cannot be %: its upload is still open, so the storage has no object yet', old.id, new.state;
    END IF;
    new.digests = '[]';
    new.bytes_total = NULL;
    RETURN new;
END
$$;

CREATE TRIGGER jobs_guard_open_upload BEFORE UPDATE OF state ON jobs
    FOR EACH ROW WHEN (new.upload_url IS NOT NULL AND new.state <> old.state AND new.state <> 'uploading')
    EXECUTE FUNCTION dataflow_guard_open_upload();

-- A job that is tried again by hand has a new budget of uncharged attempts, too.
CREATE FUNCTION dataflow_forget_uncharged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    new.uncharged_since = NULL;
    RETURN new;
END
$$;

CREATE TRIGGER jobs_forget_uncharged BEFORE UPDATE OF state ON jobs
    FOR EACH ROW WHEN (old.state IN ('failed', 'cancelled') AND new.state = 'queued')
    EXECUTE FUNCTION dataflow_forget_uncharged();

-- A row that becomes queued wakes the listeners; the payload is constant, so that one transaction wakes them once.
CREATE FUNCTION dataflow_notify_queued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('dataflow_jobs', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER jobs_notify_queued AFTER INSERT OR UPDATE OF state ON jobs
    FOR EACH ROW WHEN (new.state = 'queued') EXECUTE FUNCTION dataflow_notify_queued();

-- The refused rows go with their job.
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
