-- A request takes hold of an upload. The attempt grows in any case, which tells whoever holds it to let go; it is held
-- at once when nobody does, or only a request whose process has been silent for so long that it must be dead. What came
-- with a copy of the database is an upload of the original's, whose bytes must not get there.
-- It does not wait for the disk: what a crash of the server may take back is no more than how far an upload was and who
-- held it, which the storage and the next request know.
WITH early AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
UPDATE jobs
SET attempt = attempt + 1,
    worker = CASE WHEN worker IS NULL OR heartbeat_at < clock_timestamp() - make_interval(secs => %(silent_seconds)s)
                  THEN %(holder)s ELSE worker END,
    heartbeat_at = CASE WHEN worker IS NULL OR heartbeat_at < clock_timestamp() - make_interval(secs => %(silent_seconds)s)
                        THEN clock_timestamp() ELSE heartbeat_at END
FROM early
WHERE id = %(id)s AND state = 'uploading' AND bytes_total IS NULL AND expires_at > statement_timestamp()
  AND database_id = (SELECT dataflow_database_id())
  AND CASE WHEN %(is_own_only)s THEN created_by = %(created_by)s::text
           ELSE %(sources)s::text[] IS NULL OR source = ANY (%(sources)s::text[]) END
RETURNING id, state, object_key, upload_url AS address, content_type, file_name, source, options, request_id, format,
          attempt, worker, digests, bytes_done, bytes_total, upload_length AS length, upload_metadata AS metadata,
          expires_at, false AS is_expired, error
