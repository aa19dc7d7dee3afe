-- The object of an upload that was complete before is there. Guarded: a cancelled job is not queued, and of two
-- processes that waited for the same object one finds it queued.
UPDATE jobs
SET state = 'queued', upload_url = NULL, object_etag = %(object_etag)s, bytes_done = 0, error = NULL
WHERE id = %(id)s AND state = 'uploading' AND bytes_total IS NOT NULL
RETURNING id
