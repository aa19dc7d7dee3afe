-- How many rows a complete rejects file has; no row as in rejects/list.sql. jobs.rows_rejected is no measure: a
-- cancelled job has counted rows it never wrote, and the rows of a forgotten job are gone.
SELECT (SELECT count(*) FROM rejects WHERE job_id = j.id) AS rejects
FROM jobs j
WHERE j.id = %(job_id)s AND j.finished_at = %(finished_at)s
