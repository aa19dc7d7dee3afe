-- Guarded by the state: no row means that the upload was cancelled or swept, and the request has lost. An error that
-- is known stays in the row for whoever ends it.
UPDATE jobs SET heartbeat_at = clock_timestamp(), bytes_done = %(bytes_done)s,
    upload_url = %(upload_url)s, error = coalesce(%(error)s, error)
WHERE id = %(id)s AND state = 'uploading'
RETURNING id
