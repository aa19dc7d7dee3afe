-- Two rules that hold whoever writes the row, a person in psql included: a change of state leaves a legal row,
-- and a row that becomes queued wakes the listeners (constant payload, so that one transaction wakes them once).
CREATE FUNCTION dataflow_settle_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.state = old.state THEN
        RETURN new;
    END IF;
    IF old.state = 'succeeded' THEN
        RAISE EXCEPTION 'job % has succeeded; its contacts are committed, revert it instead', old.id;
    END IF;
    IF new.state IN ('succeeded', 'failed', 'cancelled') THEN
        new.finished_at = clock_timestamp();
    ELSIF new.state = 'queued' THEN
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

CREATE TRIGGER jobs_settle_state BEFORE UPDATE OF state ON jobs
    FOR EACH ROW EXECUTE FUNCTION dataflow_settle_state();

CREATE FUNCTION dataflow_notify_queued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('dataflow_jobs', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER jobs_notify_queued AFTER INSERT OR UPDATE OF state ON jobs
    FOR EACH ROW WHEN (new.state = 'queued') EXECUTE FUNCTION dataflow_notify_queued();
