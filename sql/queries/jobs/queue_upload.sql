-- The moment an upload becomes a job that must be done; the trigger wakes the listeners when this commits.
UPDATE jobs
SET state = 'queued', source = %(source)s, file_name = %(file_name)s, content_type = %(content_type)s,
    format = %(format)s, options = %(options)s, upload_url = NULL,
    bytes_total = %(bytes_total)s, bytes_done = 0, object_etag = %(object_etag)s, digests = %(digests)s,
    content_sha256 = %(content_sha256)s, duplicate_of = dataflow_duplicate_of(id, %(content_sha256)s, %(source)s)
WHERE id = %(id)s AND state = 'uploading'
RETURNING id
