-- Before their jobs, and in portions: one job may have a hundred thousand, and a statement has to end in time.
WITH old AS MATERIALIZED (
    SELECT r.ctid AS place FROM jobs j JOIN rejects r ON r.job_id = j.id
    WHERE j.finished_at < statement_timestamp() - make_interval(days => %(days)s)
      AND (j.object_key IS NULL OR j.object_deleted_at IS NOT NULL)
    LIMIT %(limit)s
), deleted AS (
    DELETE FROM rejects USING old WHERE rejects.ctid = old.place
    RETURNING rejects.job_id
)
SELECT count(*) AS rejects_deleted FROM deleted
