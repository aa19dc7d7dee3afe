-- At once and free of charge when a worker shuts down (charge 0), later when an attempt failed for a passing reason
-- (charge 1). Fenced.
UPDATE jobs
SET state = 'queued', failures = failures + %(charge)s, error = %(error)s, rows_imported = 0, bytes_done = 0,
    run_at = clock_timestamp() + make_interval(secs => %(delay_seconds)s)
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'
RETURNING id
