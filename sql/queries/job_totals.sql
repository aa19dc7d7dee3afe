-- Everything that /metrics publishes of the jobs, true for all dynos together and across restarts. Counters sum over
-- succeeded jobs, a state that is never left, and over what was kept of deleted ones, so they never fall.
SELECT (SELECT jsonb_object_agg(known.state, (SELECT count(*) FROM jobs WHERE jobs.state = known.state))
        FROM (VALUES ('uploading'), ('queued'), ('running'), ('succeeded'), ('failed'), ('cancelled')) known (state)
       ) AS jobs_by_state,
       (SELECT t.rows_imported FROM job_totals t)
           + coalesce(sum(rows_imported) FILTER (WHERE state = 'succeeded'), 0)::bigint AS rows_imported,
       (SELECT t.rows_rejected FROM job_totals t)
           + coalesce(sum(rows_rejected) FILTER (WHERE state = 'succeeded'), 0)::bigint AS rows_rejected,
       coalesce(extract(epoch FROM clock_timestamp()
                        - min(run_at) FILTER (WHERE state = 'queued' AND run_at <= clock_timestamp())),
                0)::double precision AS queue_oldest_seconds
FROM jobs
