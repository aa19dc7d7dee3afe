-- Of the open transaction: behind a pooler, the one that claimed the job may have been another.
SELECT pg_backend_pid() AS pid
