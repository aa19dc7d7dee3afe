-- Free of charge, as only the connections of others are in the way of the job; no row when that has lasted too long.
-- Each wait is about as long as all time before it, so that waits double. Fenced.
UPDATE jobs
SET state = 'queued', error = %(error)s, rows_imported = 0, bytes_done = 0,
    uncharged_since = coalesce(uncharged_since, clock_timestamp()),
    run_at = clock_timestamp() + (0.5 + random()) * make_interval(secs => least(%(most_seconds)s,
        greatest(%(least_seconds)s, extract(epoch FROM clock_timestamp() - uncharged_since)::double precision)))
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'
  AND (uncharged_since IS NULL OR uncharged_since > clock_timestamp() - make_interval(secs => %(uncharged_seconds)s))
RETURNING extract(epoch FROM run_at - clock_timestamp())::double precision AS seconds
