-- The job takes the object, whose row in unfinished_objects goes in the same transaction. Fenced by the attempt. How
-- long the file is kept is counted from the end of the job.
UPDATE jobs
SET state = 'succeeded', rows_exported = %(rows_exported)s, bytes_done = %(bytes_total)s, bytes_total = %(bytes_total)s,
    object_key = %(object_key)s, object_etag = %(object_etag)s, object_deleted_at = NULL,
    content_sha256 = %(content_sha256)s, issues = %(issues)s, error = NULL,
    kept_until = clock_timestamp() + make_interval(secs => %(kept_seconds)s)
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'
RETURNING id
