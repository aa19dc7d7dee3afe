-- Only rows whose object is gone: without the row nobody would know of it. What counters have published goes into the
-- totals in the same statement.
WITH old AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE finished_at < statement_timestamp() - make_interval(days => %(days)s)
      AND (object_key IS NULL OR object_deleted_at IS NOT NULL)
    ORDER BY finished_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM jobs USING old WHERE jobs.id = old.id
    RETURNING state, rows_imported, rows_rejected
), sums AS (
    SELECT count(*) AS jobs_deleted,
           coalesce(sum(rows_imported) FILTER (WHERE state = 'succeeded'), 0) AS rows_imported,
           coalesce(sum(rows_rejected) FILTER (WHERE state = 'succeeded'), 0) AS rows_rejected
    FROM deleted
)
UPDATE job_totals
SET jobs_deleted = job_totals.jobs_deleted + sums.jobs_deleted,
    rows_imported = job_totals.rows_imported + sums.rows_imported,
    rows_rejected = job_totals.rows_rejected + sums.rows_rejected
FROM sums
WHERE sums.jobs_deleted > 0
RETURNING sums.jobs_deleted
