-- For `dataflow jobs`: what fits the width of a terminal. Run by psql, which fills in :limit.
SELECT id, state, source, age, running_for, rows, rejected, percent, "rows/s", health, error
FROM job_status
LIMIT :limit
