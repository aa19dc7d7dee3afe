-- For `dataflow jobs`: what fits the width of a terminal. Run by psql, which fills in :limit.
SELECT id, kind, state, source, age, rows, updated, skipped, rejected, not_imported, percent, "rows/s", health, error
FROM job_status
LIMIT :limit
