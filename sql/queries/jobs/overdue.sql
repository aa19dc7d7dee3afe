-- Running jobs whose next beat is late. A locked row may be in its final commit; a held job ran in another database.
SELECT id, attempt FROM jobs
WHERE state = 'running' AND database_id = (SELECT dataflow_database_id()) AND id <> ALL (%(own)s)
  AND heartbeat_at < statement_timestamp() - make_interval(secs => %(silent_seconds)s)
FOR UPDATE SKIP LOCKED
