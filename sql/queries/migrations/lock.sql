-- One migrator at a time; a transaction's lock, because a pooler may give the next statement to another session.
SELECT pg_advisory_xact_lock(hashtext('dataflow_migrations'))
