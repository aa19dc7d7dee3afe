-- For a worker that polls seldom: nobody notifies when the back-off of a job is over. Held jobs are left out.
SELECT extract(epoch FROM min(run_at) - clock_timestamp())::double precision AS seconds
FROM jobs WHERE database_id = (SELECT dataflow_database_id()) AND state = 'queued'
