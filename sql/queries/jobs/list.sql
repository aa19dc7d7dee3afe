-- Newest first: a UUIDv7 sorts by creation, so that the last id of a page is the cursor of the next and new jobs
-- never shift a page. Issues, and header rows that may have thousands of columns, are left to the single job.
-- Each filter has its index. ORDER BY begins with the filtered column and the filter is = ANY, which the planner does
-- not take for a constant: else it would walk the primary key, hoping to meet a state soon that a hundred thousand
-- newer jobs do not have. Of the kinds other than import there are few, so that their index serves with any other
-- filter. With ids from jobs/list_in_scope.sql there is no other filter.
SELECT id AS job_id, kind, of_job, state, state = 'succeeded' AND rows_rejected > 0 AS partial, source, file_name,
       rows_imported, rows_updated, rows_skipped, rows_rejected, rows_not_imported, rows_read, rows_exported,
       bytes_done, bytes_total, CASE WHEN kept_until IS NOT NULL THEN content_sha256 END AS content_sha256, error,
       attempt, failures, max_failures, run_at, created_at, started_at, finished_at, content_type, format, options,
       detected - 'columns' AS detected, coalesce(detected -> 'ignoredColumns', '[]') AS ignored_columns,
       first_contact_id, last_contact_id, object_deleted_at, kept_until AS expires_at, reverted_at, reverted_rows,
       duplicate_of, request_id, created_by
FROM jobs
WHERE (%(source)s::text IS NULL OR source = ANY (ARRAY[%(source)s::text]))
  AND (%(state)s::text IS NULL OR CASE WHEN %(source)s::text IS NULL THEN state = ANY (ARRAY[%(state)s::text])
                                       ELSE state = %(state)s END)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s::text)
  AND (%(kind)s::text IS NULL OR %(kind)s::text = 'import' OR kind <> 'import')
  AND (%(cursor)s::uuid IS NULL OR id < %(cursor)s)
  AND (%(ids)s::uuid[] IS NULL OR id = ANY (%(ids)s::uuid[]))
ORDER BY CASE WHEN %(kind)s::text <> 'import' THEN kind
              WHEN %(source)s::text IS NOT NULL THEN source
              WHEN %(state)s::text IS NOT NULL THEN state END DESC, id DESC
LIMIT %(limit)s
