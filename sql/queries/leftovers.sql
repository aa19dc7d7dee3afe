-- Files that nothing can need any more: of a success, of an upload that never became whole, and of a job that was
-- forgotten when its request has surely ended; of any other job when its time is over. With the end of the job, which
-- a retry would change. In pages, so that files which cannot be removed do not hide the others.
SELECT id, finished_at FROM jobs
WHERE finished_at IS NOT NULL AND object_key IS NOT NULL AND object_deleted_at IS NULL
  AND finished_at < statement_timestamp() - make_interval(secs =>
      CASE WHEN state = 'succeeded' OR digests = '[]' OR upload_url IS NOT NULL THEN %(settled_seconds)s ELSE %(kept_seconds)s END)
  AND (%(after)s::timestamptz IS NULL OR (finished_at, id) > (%(after)s, %(after_id)s::uuid))
ORDER BY finished_at, id
LIMIT %(limit)s
