-- Only while the file is kept, and only a file that was received as a whole; a revert has none and goes on where it was.
UPDATE jobs SET state = 'queued', error = NULL
WHERE id = %(id)s AND state IN ('failed', 'cancelled')
  AND (kind <> 'import' OR (object_deleted_at IS NULL AND digests <> '[]' AND upload_url IS NULL))
RETURNING id
