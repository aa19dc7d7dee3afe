-- Running jobs whose next beat is late, and whose row nobody holds: who holds it may be in the final commit.
SELECT id, attempt FROM jobs
WHERE state = 'running' AND id <> ALL (%(own)s)
  AND heartbeat_at < statement_timestamp() - make_interval(secs => %(silent_seconds)s)
FOR UPDATE SKIP LOCKED
