-- Held until the file is gone, as in lock_leftover.sql; but who asks for one job waits for whoever has it.
SELECT state, object_key, upload_url, object_deleted_at FROM jobs WHERE id = %(id)s
FOR UPDATE
