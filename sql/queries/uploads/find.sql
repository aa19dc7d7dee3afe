-- An upload in several requests, whatever has become of it, for those who may know of it.
SELECT id, state, object_key, upload_url AS address, content_type, file_name, source, options, request_id, format,
       attempt, worker, digests, bytes_done, bytes_total, upload_length AS length, upload_metadata AS metadata, expires_at,
       expires_at < statement_timestamp() AS is_expired, error
FROM jobs
WHERE id = %(id)s AND expires_at IS NOT NULL AND database_id = (SELECT dataflow_database_id())
  AND CASE WHEN %(is_own_only)s THEN created_by = %(created_by)s::text
           ELSE %(sources)s::text[] IS NULL OR source = ANY (%(sources)s::text[]) END
