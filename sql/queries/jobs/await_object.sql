-- The storage has every byte, but no object yet. All that queueing needs is written down, so that any process can
-- queue the job when the object is there; until then the address of the upload stays.
UPDATE jobs
SET source = %(source)s, file_name = %(file_name)s, content_type = %(content_type)s, format = %(format)s,
    options = %(options)s, digests = %(digests)s, bytes_total = %(bytes_total)s, bytes_done = %(bytes_total)s,
    content_sha256 = %(content_sha256)s, duplicate_of = dataflow_duplicate_of(id, %(content_sha256)s, %(source)s),
    upload_url = %(upload_url)s, heartbeat_at = clock_timestamp()
WHERE id = %(id)s AND state = 'uploading'
RETURNING id
