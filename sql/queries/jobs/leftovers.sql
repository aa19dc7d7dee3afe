-- Files that nothing can need any more: of a success, of an upload that never became whole, and of a job that was
-- forgotten when its request has surely ended; of any other job when its time is over. With the end of the job, which
-- a retry would change. In pages, so that files which cannot be removed do not hide the others. Each of the two sorts by
-- an index of its own: thousands that are kept for days would be looked through in each round. Files of jobs that are
-- held may be needed elsewhere.
SELECT id, finished_at
FROM (
    (SELECT id, finished_at FROM jobs
     WHERE finished_at IS NOT NULL AND object_key IS NOT NULL AND object_deleted_at IS NULL
       AND database_id = (SELECT dataflow_database_id())
       AND (state = 'succeeded' OR digests = '[]' OR upload_url IS NOT NULL)
       AND finished_at < statement_timestamp() - make_interval(secs => %(settled_seconds)s)
       AND (%(after)s::timestamptz IS NULL OR (finished_at, id) > (%(after)s, %(after_id)s::uuid))
     ORDER BY finished_at, id
     LIMIT %(limit)s)
    UNION ALL
    (SELECT id, finished_at FROM jobs
     WHERE finished_at IS NOT NULL AND object_key IS NOT NULL AND object_deleted_at IS NULL
       AND database_id = (SELECT dataflow_database_id())
       AND NOT (state = 'succeeded' OR digests = '[]' OR upload_url IS NOT NULL)
       AND finished_at < statement_timestamp() - make_interval(secs => %(kept_seconds)s)
       AND (%(after)s::timestamptz IS NULL OR (finished_at, id) > (%(after)s, %(after_id)s::uuid))
     ORDER BY finished_at, id
     LIMIT %(limit)s)
) found
ORDER BY finished_at, id
LIMIT %(limit)s
