-- For a dry run.
SELECT count(DISTINCT staged_id) AS row_count FROM pg_temp.dataflow_known
