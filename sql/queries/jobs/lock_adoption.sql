-- One at a time, until the transaction ends: to release what another gives up would be to take over its file after all.
SELECT pg_advisory_xact_lock(hashtext('dataflow_adoption'))
