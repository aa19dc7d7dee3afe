-- Of the open transaction: behind a pooler, another process may have claimed the job.
SELECT pg_backend_pid() AS pid
