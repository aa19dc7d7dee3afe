-- Before the file is removed: from here on the job cannot be queued again, nor its file be fetched, whatever becomes of
-- the removal. Guarded by the end of the job, which a retry would have changed; a locked row is left to the next round.
-- The file of a held job may be needed elsewhere.
WITH mine AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE id = %(id)s AND finished_at = %(finished_at)s AND object_deleted_at IS NULL
      AND database_id = (SELECT dataflow_database_id())
    FOR UPDATE SKIP LOCKED
)
UPDATE jobs
SET digests = '[]',
    kept_until = CASE WHEN kept_until > clock_timestamp() THEN clock_timestamp() ELSE kept_until END
FROM mine
WHERE jobs.id = mine.id
RETURNING object_key, upload_url
