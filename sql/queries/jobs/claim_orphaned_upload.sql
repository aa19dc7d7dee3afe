-- An upload with all of its bytes whose web process has been silent for a while: the caller waits for its object from
-- here on. A web process that is alive after all does no harm, as both ask for the same object. An upload of another
-- database is held.
UPDATE jobs SET heartbeat_at = clock_timestamp()
FROM (SELECT id FROM jobs
      WHERE state = 'uploading' AND bytes_total IS NOT NULL AND upload_url IS NOT NULL
        AND database_id = (SELECT dataflow_database_id())
        AND heartbeat_at < statement_timestamp() - make_interval(secs => %(silent_seconds)s)
      ORDER BY id
      LIMIT 1
      FOR UPDATE SKIP LOCKED) silent
WHERE jobs.id = silent.id
RETURNING jobs.id, object_key, upload_url, bytes_total AS size_bytes, request_id
