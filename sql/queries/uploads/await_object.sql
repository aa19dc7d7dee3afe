-- All bytes are there, and the storage still makes an object of them: see jobs/await_object.sql.
UPDATE jobs
SET bytes_total = %(offset)s, bytes_done = %(offset)s, upload_length = %(offset)s, digests = %(digests)s,
    content_sha256 = %(content_sha256)s, duplicate_of = dataflow_duplicate_of(id, %(content_sha256)s, source),
    format = %(format)s, worker = NULL, heartbeat_at = clock_timestamp()
WHERE id = %(id)s AND worker = %(holder)s AND state = 'uploading'
RETURNING id
