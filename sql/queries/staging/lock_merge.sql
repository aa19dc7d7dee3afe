-- One merge at a time, until the transaction ends. A statement of its own, because the snapshot of the next one then
-- has the merge before; inside the merge the snapshot would be older than the lock (measured to fail).
SELECT pg_advisory_xact_lock(hashtext('dataflow_merge'))
