-- One at a time, until the transaction ends: releasing a job that another process gives up would take over its file.
SELECT pg_advisory_xact_lock(hashtext('dataflow_adoption'))
