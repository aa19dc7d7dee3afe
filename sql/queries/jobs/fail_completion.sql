-- The storage has lost the bytes it had confirmed. Guarded as jobs/queue_completed.sql is.
UPDATE jobs SET state = 'failed', error = %(error)s
WHERE id = %(id)s AND state = 'uploading' AND bytes_total IS NOT NULL
RETURNING id
