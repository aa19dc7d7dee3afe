-- What a finished job keeps of people. Its file is removed next; from here on the job cannot be queued again, whatever
-- becomes of that.
WITH forgotten AS (
    UPDATE jobs SET digests = '[]', issues = '[]', file_name = NULL
    WHERE id = %(id)s AND finished_at IS NOT NULL
    RETURNING id, CASE WHEN object_deleted_at IS NULL THEN object_key END AS object_key, upload_url,
              bytes_total IS NOT NULL AS is_complete
), removed AS (
    DELETE FROM rejects USING forgotten WHERE rejects.job_id = forgotten.id
)
SELECT object_key, upload_url, is_complete FROM forgotten
