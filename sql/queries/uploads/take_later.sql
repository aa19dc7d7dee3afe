-- The holder may have let go of an upload by now. A request that came later has told this one to let go, too.
-- As uploads/take.sql it does not wait for the disk.
WITH early AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
UPDATE jobs SET worker = %(holder)s, heartbeat_at = clock_timestamp()
FROM early
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'uploading' AND bytes_total IS NULL
  AND (worker IS NULL OR heartbeat_at < clock_timestamp() - make_interval(secs => %(silent_seconds)s))
RETURNING id, state, object_key, upload_url AS address, content_type, file_name, source, options, request_id, format,
          attempt, worker, digests, bytes_done, bytes_total, upload_length AS length, upload_metadata AS metadata,
          expires_at, false AS is_expired, error
