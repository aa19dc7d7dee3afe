-- Everything that /metrics publishes of the jobs, true for all dynos together and across restarts. Counters sum over jobs
-- that have ended, and over what was kept of those that were deleted or tried again, so they never fall.
SELECT (SELECT jsonb_object_agg(known.state, (SELECT count(*) FROM jobs WHERE jobs.state = known.state))
        FROM (VALUES ('uploading'), ('queued'), ('running'), ('succeeded'), ('failed'), ('cancelled')) known (state)
       ) AS jobs_by_state,
       kept.rows_read + ended.rows_read AS rows_read,
       kept.rows_imported + ended.rows_imported AS rows_imported,
       kept.rows_updated + ended.rows_updated AS rows_updated,
       kept.rows_skipped + ended.rows_skipped AS rows_skipped,
       kept.rows_rejected + ended.rows_rejected AS rows_rejected,
       kept.rows_not_imported + ended.rows_not_imported AS rows_not_imported,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - min(run_at)) FROM jobs
                 WHERE state = 'queued' AND run_at <= clock_timestamp()),
                0)::double precision AS queue_oldest_seconds
FROM job_totals kept, LATERAL (
    SELECT coalesce(sum(rows_read), 0)::bigint AS rows_read,
           coalesce(sum(rows_imported), 0)::bigint AS rows_imported,
           coalesce(sum(rows_updated), 0)::bigint AS rows_updated,
           coalesce(sum(rows_skipped), 0)::bigint AS rows_skipped,
           coalesce(sum(rows_rejected), 0)::bigint AS rows_rejected,
           coalesce(sum(rows_not_imported), 0)::bigint AS rows_not_imported
    FROM jobs
    WHERE finished_at IS NOT NULL
) ended
