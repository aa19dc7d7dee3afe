-- Only rows whose object is gone: without its row nobody would know of an object. Triggers keep what was published.
WITH old AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE finished_at < statement_timestamp() - make_interval(days => %(days)s)
      AND (object_key IS NULL OR object_deleted_at IS NOT NULL)
    ORDER BY finished_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM jobs USING old WHERE jobs.id = old.id
