-- One merge at a time, until the transaction ends. A statement of its own: what comes next gets a snapshot in which the
-- merge before is committed, and inside the merge the snapshot would be older than the lock (measured to fail).
SELECT pg_advisory_xact_lock(hashtext('dataflow_merge'))
