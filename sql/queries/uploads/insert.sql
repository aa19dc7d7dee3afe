-- An upload in several requests, held by the one that creates it. Before the storage is asked, so that a dead database
-- answers 503 first.
INSERT INTO jobs (id, state, source, file_name, object_key, content_type, options, request_id, created_by, attempt,
                  worker, heartbeat_at, expires_at, upload_length, upload_metadata)
VALUES (%(id)s, 'uploading', %(source)s, %(file_name)s, %(object_key)s, %(content_type)s, %(options)s, %(request_id)s,
        %(created_by)s, 1, %(holder)s, clock_timestamp(),
        clock_timestamp() + make_interval(secs => %(expires_seconds)s), %(length)s, %(metadata)s)
