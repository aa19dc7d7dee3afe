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
    RETURNING rows_read, rows_imported, rows_updated, rows_skipped, rows_rejected, rows_not_imported
), sums AS (
    SELECT count(*) AS jobs_deleted, sum(rows_read) AS rows_read, sum(rows_imported) AS rows_imported,
           sum(rows_updated) AS rows_updated, sum(rows_skipped) AS rows_skipped, sum(rows_rejected) AS rows_rejected,
           sum(rows_not_imported) AS rows_not_imported
    FROM deleted
)
UPDATE job_totals
SET jobs_deleted = job_totals.jobs_deleted + sums.jobs_deleted,
    rows_read = job_totals.rows_read + sums.rows_read,
    rows_imported = job_totals.rows_imported + sums.rows_imported,
    rows_updated = job_totals.rows_updated + sums.rows_updated,
    rows_skipped = job_totals.rows_skipped + sums.rows_skipped,
    rows_rejected = job_totals.rows_rejected + sums.rows_rejected,
    rows_not_imported = job_totals.rows_not_imported + sums.rows_not_imported
FROM sums
WHERE sums.jobs_deleted > 0
RETURNING sums.jobs_deleted
