-- The open transaction of a lost worker holds its uncommitted keys, and the next attempt would wait for them without
-- limit. Only while the session is still the worker's: a pooler may have given it to somebody else.
SELECT pg_terminate_backend(pid) AS is_terminated FROM pg_stat_activity
WHERE pid = %(backend_pid)s AND backend_start = %(backend_start)s
  AND starts_with(application_name, 'dataflow/' || %(worker)s || '/')
