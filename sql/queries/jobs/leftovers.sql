-- Files that can go: at once those of a success, of an upload that never became whole, and of a forgotten job whose
-- request has surely ended; those of other jobs when their time is over, and what a job has made when its own is. With
-- the end of the job, which a retry would change. In pages, so that files which cannot be removed do not hide others.
-- Each part has an index of its own, else thousands of files that are kept for days would be looked through each time.
-- Files of held jobs may be needed elsewhere.
SELECT id, finished_at
FROM (
    (SELECT id, finished_at FROM jobs
     WHERE finished_at IS NOT NULL AND object_key IS NOT NULL AND object_deleted_at IS NULL
       AND database_id = (SELECT dataflow_database_id())
       AND kept_until IS NULL AND (state = 'succeeded' OR digests = '[]' OR upload_url IS NOT NULL)
       AND finished_at < statement_timestamp() - make_interval(secs => %(settled_seconds)s)
       AND (%(after)s::timestamptz IS NULL OR (finished_at, id) > (%(after)s, %(after_id)s::uuid))
     ORDER BY finished_at, id
     LIMIT %(limit)s)
    UNION ALL
    (SELECT id, finished_at FROM jobs
     WHERE finished_at IS NOT NULL AND object_key IS NOT NULL AND object_deleted_at IS NULL
       AND database_id = (SELECT dataflow_database_id())
       AND kept_until IS NULL AND NOT (state = 'succeeded' OR digests = '[]' OR upload_url IS NOT NULL)
       AND finished_at < statement_timestamp() - make_interval(secs => %(kept_seconds)s)
       AND (%(after)s::timestamptz IS NULL OR (finished_at, id) > (%(after)s, %(after_id)s::uuid))
     ORDER BY finished_at, id
     LIMIT %(limit)s)
    UNION ALL
    (SELECT id, finished_at FROM jobs
     WHERE kept_until < statement_timestamp() AND object_key IS NOT NULL AND object_deleted_at IS NULL
       AND database_id = (SELECT dataflow_database_id())
       AND (%(after)s::timestamptz IS NULL OR (finished_at, id) > (%(after)s, %(after_id)s::uuid))
     ORDER BY finished_at, id
     LIMIT %(limit)s)
) found
ORDER BY finished_at, id
LIMIT %(limit)s
