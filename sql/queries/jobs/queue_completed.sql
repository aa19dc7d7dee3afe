-- The object of an upload that was received before is there. Guarded: a cancelled one is not queued, and of two that have
-- waited for the same object one finds the row queued.
UPDATE jobs
SET state = 'queued', upload_url = NULL, object_etag = %(object_etag)s, bytes_done = 0, error = NULL
WHERE id = %(id)s AND state = 'uploading' AND bytes_total IS NOT NULL
RETURNING id
