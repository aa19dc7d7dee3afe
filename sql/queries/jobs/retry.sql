-- An import only while its whole file is kept, and not one of another database, which is held. A revert has no file
-- and goes on where it was, in whatever database that is.
UPDATE jobs SET state = 'queued', error = NULL,
    database_id = CASE WHEN kind = 'import' THEN database_id ELSE dataflow_database_id() END
WHERE id = %(id)s AND state IN ('failed', 'cancelled')
  AND (kind <> 'import' OR (database_id = (SELECT dataflow_database_id()) AND object_deleted_at IS NULL
                           AND digests <> '[]' AND upload_url IS NULL))
RETURNING id
