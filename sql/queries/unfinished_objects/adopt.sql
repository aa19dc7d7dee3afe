-- With the jobs of jobs/release_held.sql.
UPDATE unfinished_objects SET database_id = dataflow_database_id() WHERE database_id <> dataflow_database_id()
