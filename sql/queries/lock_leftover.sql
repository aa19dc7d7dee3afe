-- Held until the file is gone and that is marked: a retry in psql waits, and then finds it forgotten.
SELECT object_key, upload_url FROM jobs
WHERE id = %(id)s AND finished_at = %(finished_at)s AND object_deleted_at IS NULL
FOR UPDATE SKIP LOCKED
