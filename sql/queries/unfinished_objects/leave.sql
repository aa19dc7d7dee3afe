-- With the jobs of jobs/give_up_held.sql: what is in the storage is the original's.
DELETE FROM unfinished_objects WHERE database_id <> dataflow_database_id()
