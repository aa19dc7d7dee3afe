-- Attempts that fail because there are too many connections cost a job nothing for half an hour. That has to be known
-- from one attempt to the next, which may be another worker's, and to outlive both.
ALTER TABLE jobs ADD COLUMN uncharged_since timestamptz;
COMMENT ON COLUMN jobs.uncharged_since IS
    'when an attempt first failed for too many connections: not charged to failures for half an hour from then on';

-- A job that is tried again by hand has a new budget, of this as well. A trigger of its own, beside the one that gives it
-- back its failures.
CREATE FUNCTION dataflow_forget_uncharged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    new.uncharged_since = NULL;
    RETURN new;
END
$$;

CREATE TRIGGER jobs_forget_uncharged BEFORE UPDATE OF state ON jobs
    FOR EACH ROW WHEN (old.state IN ('failed', 'cancelled') AND new.state = 'queued')
    EXECUTE FUNCTION dataflow_forget_uncharged();
