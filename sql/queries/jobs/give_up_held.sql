-- The files are the original's for good: a job that does not know its file's key cannot have it read or deleted, neither
-- now nor after its retention. What has ended stays as it ended. In portions, as jobs/release_held.sql.
UPDATE jobs
SET state = CASE WHEN finished_at IS NULL THEN 'failed' ELSE state END,
    error = CASE WHEN finished_at IS NULL THEN %(error)s ELSE error END,
    object_key = NULL, upload_url = NULL, digests = '[]'
WHERE id = ANY (ARRAY(SELECT id FROM held_jobs LIMIT %(limit)s))
