-- Uploads whose web process is gone, or could not tell what the storage kept. Guarded by the state: a request that is
-- alive after all finds out at its next beat. A server that was down itself has not seen the beats of that time. An
-- upload with all of its bytes is left to jobs/claim_orphaned_upload.sql, one in several requests has its time between
-- them, one of another database is held.
UPDATE jobs
SET state = 'failed', error = coalesce(jobs.error, CASE WHEN abandoned.is_expired
    THEN 'upload_gone: Its client has not gone on with the upload before it expired; begin a new one.'
    ELSE 'upload_abandoned: The request stopped sending and its end was not seen; send the file again.' END)
FROM (SELECT id, expires_at IS NOT NULL AS is_expired FROM jobs
      WHERE state = 'uploading' AND bytes_total IS NULL AND database_id = (SELECT dataflow_database_id())
        AND (expires_at IS NULL OR expires_at < statement_timestamp())
        AND heartbeat_at < statement_timestamp() - make_interval(secs => %(silent_seconds)s)
        AND pg_postmaster_start_time() < statement_timestamp() - make_interval(secs => %(silent_seconds)s)
      FOR UPDATE SKIP LOCKED) abandoned
WHERE jobs.id = abandoned.id
RETURNING jobs.id
