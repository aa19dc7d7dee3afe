-- All bytes are there, and the storage still makes an object of them: see jobs/await_object.sql.
UPDATE jobs
SET bytes_total = %(offset)s, bytes_done = %(offset)s, upload_length = %(offset)s, digests = %(digests)s,
    format = %(format)s, worker = NULL, heartbeat_at = clock_timestamp()
WHERE id = %(id)s AND worker = %(holder)s AND state = 'uploading'
RETURNING id
