-- Files that nothing can need any more: of a success, of an upload that never became whole, and of a job that was
-- forgotten when its request has surely ended; of any other job when its time is over. With the end of the job, which
-- a retry would change.
SELECT id, finished_at FROM jobs
WHERE finished_at IS NOT NULL AND object_key IS NOT NULL AND object_deleted_at IS NULL
  AND finished_at < clock_timestamp() - make_interval(secs =>
      CASE WHEN state = 'succeeded' OR digests = '[]' THEN %(settled_seconds)s ELSE %(kept_seconds)s END)
ORDER BY finished_at
LIMIT %(limit)s
