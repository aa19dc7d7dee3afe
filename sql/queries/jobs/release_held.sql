-- From here on these jobs are of this database: who runs, sweeps or completes jobs takes them like any other. In
-- portions, so that none takes longer than a statement may.
UPDATE jobs SET database_id = dataflow_database_id()
WHERE id = ANY (ARRAY(SELECT id FROM held_jobs LIMIT %(limit)s))
