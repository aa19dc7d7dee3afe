-- What a client may know of some jobs; who works on them, and how, stays in psql. One statement for all that are
-- waited for.
SELECT j.id AS job_id, j.kind, j.of_job, j.state, j.state = 'succeeded' AND j.rows_rejected > 0 AS partial, j.source,
       j.file_name,
       CASE WHEN c.command = 'COPY FROM' THEN greatest(j.rows_imported, c.tuples_processed)
            ELSE j.rows_imported END AS rows_imported,
       j.rows_updated, j.rows_skipped, j.rows_rejected, j.rows_not_imported, j.rows_read,
       CASE WHEN c.command = 'COPY TO' THEN greatest(j.rows_exported, c.tuples_processed)
            ELSE j.rows_exported END AS rows_exported,
       j.bytes_done, j.bytes_total, CASE WHEN j.kept_until IS NOT NULL THEN j.content_sha256 END AS content_sha256,
       j.error, j.attempt, j.failures, j.max_failures, j.run_at, j.created_at, j.started_at, j.finished_at,
       j.content_type, j.format, j.options, j.detected,
       coalesce(j.detected -> 'ignoredColumns', '[]') AS ignored_columns, j.issues, j.first_contact_id,
       j.last_contact_id, j.object_deleted_at, j.kept_until AS expires_at, j.reverted_at, j.reverted_rows,
       j.duplicate_of, j.request_id, j.created_by
FROM jobs j
LEFT JOIN pg_stat_progress_copy c
    ON j.state = 'running' AND c.pid = j.backend_pid AND (c.relid = 'contacts'::regclass OR c.command = 'COPY TO')
WHERE j.id = ANY (%(ids)s)
