-- Whoever waits for the end of a job hears of it at once, by the id. A channel of its own, so that no worker is woken.
CREATE FUNCTION dataflow_notify_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('dataflow_ended', new.id::text);
    RETURN NULL;
END
$$;

CREATE TRIGGER jobs_notify_ended AFTER UPDATE OF state ON jobs
    FOR EACH ROW WHEN (old.finished_at IS NULL AND new.finished_at IS NOT NULL)
    EXECUTE FUNCTION dataflow_notify_ended();
