-- Fenced: no row means that the job was cancelled or belongs to another attempt, and this one has to stop.
UPDATE jobs
SET heartbeat_at = clock_timestamp(), rows_imported = %(rows_imported)s, bytes_done = %(bytes_done)s
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'
RETURNING id
