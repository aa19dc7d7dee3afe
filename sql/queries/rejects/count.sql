-- What a complete rejects file has to have; without a row as in rejects/list.sql. jobs.rows_rejected is no measure: a
-- cancelled job has counted what it never wrote, and of a forgotten one the rows are gone.
SELECT (SELECT count(*) FROM rejects WHERE job_id = j.id) AS rejects
FROM jobs j
WHERE j.id = %(job_id)s AND j.finished_at = %(finished_at)s
