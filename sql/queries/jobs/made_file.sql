-- What a job has made, as long as it is kept: whoever removes it ends its time first.
SELECT object_key FROM jobs
WHERE id = %(id)s AND object_key IS NOT NULL AND object_deleted_at IS NULL AND kept_until > statement_timestamp()
