-- Guarded by the state: no row means that the upload was cancelled or swept, and the request has lost.
UPDATE jobs SET heartbeat_at = clock_timestamp(), bytes_done = %(bytes_done)s,
    upload_url = %(upload_url)s
WHERE id = %(id)s AND state = 'uploading'
RETURNING id
