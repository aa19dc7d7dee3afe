-- The files stay the original's: a job that does not know the key of its file can neither read nor delete it, now or
-- after its retention. Ended jobs stay as they ended. In portions, as jobs/release_held.sql.
UPDATE jobs
SET state = CASE WHEN finished_at IS NULL THEN 'failed' ELSE state END,
    error = CASE WHEN finished_at IS NULL THEN %(error)s ELSE error END,
    object_key = NULL, upload_url = NULL, digests = '[]'
WHERE id = ANY (ARRAY(SELECT id FROM held_jobs LIMIT %(limit)s))
