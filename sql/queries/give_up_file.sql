-- Before the file is removed: from here on the job cannot be queued again, whatever becomes of the removal. Guarded by
-- the end of the job, which a retry would have changed.
UPDATE jobs SET digests = '[]'
WHERE id = %(id)s AND finished_at = %(finished_at)s AND object_deleted_at IS NULL
RETURNING object_key, upload_url
