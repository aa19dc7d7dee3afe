-- Only while the file is kept, and only a file that was received as a whole; a revert has none and goes on where it was,
-- in whatever database that is. An import of another one is held.
UPDATE jobs SET state = 'queued', error = NULL,
    database_id = CASE WHEN kind = 'import' THEN database_id ELSE dataflow_database_id() END
WHERE id = %(id)s AND state IN ('failed', 'cancelled')
  AND (kind <> 'import' OR (database_id = (SELECT dataflow_database_id()) AND object_deleted_at IS NULL
                           AND digests <> '[]' AND upload_url IS NULL))
RETURNING id
