-- Only while the file is kept, and only a file that was received as a whole.
UPDATE jobs SET state = 'queued', error = NULL
WHERE id = %(id)s AND state IN ('failed', 'cancelled') AND object_deleted_at IS NULL AND digests <> '[]'
RETURNING id
