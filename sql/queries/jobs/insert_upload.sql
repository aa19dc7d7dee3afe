-- Before the first byte of the body, so that a dead database answers 503 before a gigabyte has been sent.
INSERT INTO jobs (id, state, source, file_name, object_key, content_type, options, request_id, created_by, heartbeat_at)
VALUES (%(id)s, 'uploading', %(source)s, %(file_name)s, %(object_key)s, %(content_type)s, %(options)s,
        %(request_id)s, %(created_by)s, clock_timestamp())
