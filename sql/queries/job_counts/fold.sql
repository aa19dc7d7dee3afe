-- Puts one row with the sums in the place of many. One statement, so that a reader sees either the many or the one;
-- one sweep at a time. Rows of transactions that are still open are not seen and wait for the next time.
WITH turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtext('dataflow_counts')) AS is_ours
), folded AS (
    DELETE FROM job_counts
    WHERE (SELECT is_ours FROM turn)
      AND ctid = ANY (ARRAY(SELECT ctid FROM job_counts LIMIT %(limit)s))
    RETURNING job_counts.*
), kept AS (
    INSERT INTO job_counts
    SELECT sum(jobs_succeeded), sum(jobs_failed), sum(jobs_cancelled), sum(rows_read), sum(rows_imported),
           sum(rows_updated), sum(rows_skipped), sum(rows_rejected), sum(rows_not_imported)
    FROM folded
    HAVING count(*) > 0
)
SELECT count(*) AS folded_rows FROM folded
