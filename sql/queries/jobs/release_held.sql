-- From here on these jobs are of this database and treated like any other. In portions, each within the time of a
-- statement.
UPDATE jobs SET database_id = dataflow_database_id()
WHERE id = ANY (ARRAY(SELECT id FROM held_jobs LIMIT %(limit)s))
