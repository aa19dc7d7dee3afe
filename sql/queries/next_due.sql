-- For a worker that polls seldom: nobody notifies when the back-off of a job is over.
SELECT extract(epoch FROM min(run_at) - clock_timestamp())::double precision AS seconds
FROM jobs WHERE state = 'queued'
