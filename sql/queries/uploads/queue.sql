-- All bytes are there and are an object. By the request that holds the upload; the trigger wakes the listeners.
UPDATE jobs
SET state = 'queued', upload_url = NULL, bytes_total = %(offset)s, bytes_done = 0, upload_length = %(offset)s,
    digests = %(digests)s, content_sha256 = %(content_sha256)s,
    duplicate_of = dataflow_duplicate_of(id, %(content_sha256)s, source), format = %(format)s, object_etag = %(object_etag)s
WHERE id = %(id)s AND worker = %(holder)s AND state = 'uploading'
RETURNING id
