-- Jobs that were made in another database. As two ranges, each by the index jobs_holdable; both are empty where all
-- jobs are at home.
CREATE VIEW held_jobs AS
SELECT * FROM jobs
WHERE (finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL))
  AND database_id < (SELECT dataflow_database_id())
UNION ALL
SELECT * FROM jobs
WHERE (finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL))
  AND database_id > (SELECT dataflow_database_id());
COMMENT ON VIEW held_jobs IS 'DataFlow: jobs that came with a dump or a copy, and are left alone until dataflow adopt';
