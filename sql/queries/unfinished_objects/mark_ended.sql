-- An attempt that is over never comes back: the number of attempts only grows.
UPDATE unfinished_objects u SET ended_at = clock_timestamp()
WHERE ended_at IS NULL AND database_id = (SELECT dataflow_database_id())
  AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = u.job_id AND j.attempt = u.attempt AND j.state = 'running')
