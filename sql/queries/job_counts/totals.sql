-- All that /metrics publishes of the jobs, the same for all dynos and across restarts. Ended jobs were counted as
-- they ended, so that counters never fall; unfinished ones are counted by index. Held jobs do not wait.
SELECT jsonb_build_object('uploading', unfinished.uploading, 'queued', unfinished.queued, 'running', unfinished.running,
           'succeeded', ended.succeeded, 'failed', ended.failed, 'cancelled', ended.cancelled) AS jobs_by_state,
       ended.rows_read, ended.rows_imported, ended.rows_updated, ended.rows_skipped, ended.rows_rejected,
       ended.rows_not_imported,
       coalesce((SELECT extract(epoch FROM statement_timestamp() - min(run_at)) FROM jobs
                 WHERE database_id = (SELECT dataflow_database_id()) AND state = 'queued'
                   AND run_at <= statement_timestamp()),
                0)::double precision AS queue_oldest_seconds
FROM (
    SELECT count(*) FILTER (WHERE state = 'uploading') AS uploading, count(*) FILTER (WHERE state = 'queued') AS queued,
           count(*) FILTER (WHERE state = 'running') AS running
    FROM jobs
    WHERE state IN ('uploading', 'queued', 'running')
) unfinished, (
    SELECT coalesce(sum(jobs_succeeded), 0)::bigint AS succeeded,
           coalesce(sum(jobs_failed), 0)::bigint AS failed,
           coalesce(sum(jobs_cancelled), 0)::bigint AS cancelled,
           coalesce(sum(rows_read), 0)::bigint AS rows_read,
           coalesce(sum(rows_imported), 0)::bigint AS rows_imported,
           coalesce(sum(rows_updated), 0)::bigint AS rows_updated,
           coalesce(sum(rows_skipped), 0)::bigint AS rows_skipped,
           coalesce(sum(rows_rejected), 0)::bigint AS rows_rejected,
           coalesce(sum(rows_not_imported), 0)::bigint AS rows_not_imported
    FROM job_counts
) ended
