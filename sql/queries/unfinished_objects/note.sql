-- Before anything is sent, and again when the storage has said where the upload is. Fenced: no row means that the job is
-- no longer this attempt's.
INSERT INTO unfinished_objects (object_key, job_id, attempt, upload_url)
SELECT %(object_key)s, id, attempt, %(upload_url)s
FROM jobs
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'
ON CONFLICT (object_key) DO UPDATE SET upload_url = excluded.upload_url
RETURNING job_id AS id
