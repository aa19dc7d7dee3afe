-- The jobs table for eyes: what is going on, how fast, until when, and whether somebody is still at it.
-- Rows of a running import come live from the server's own COPY counter, between two heartbeats too.
CREATE VIEW job_status AS
WITH live AS (
    SELECT j.*,
           CASE WHEN j.state = 'running' THEN greatest(j.rows_imported, c.tuples_processed)
                ELSE j.rows_imported END AS row_count,
           CASE WHEN j.state = 'running' THEN clock_timestamp() - j.started_at
                ELSE j.finished_at - j.started_at END AS duration,
           a.pid IS NOT NULL AS backend_alive
    FROM jobs j
    LEFT JOIN pg_stat_activity a
        ON j.state = 'running' AND a.pid = j.backend_pid AND a.backend_start = j.backend_start
    LEFT JOIN pg_stat_progress_copy c ON c.pid = a.pid
), measured AS (
    SELECT live.*,
           row_count / nullif(extract(epoch FROM duration), 0) AS rows_per_second,
           bytes_done::numeric / nullif(bytes_total, 0) AS done
    FROM live
)
SELECT id,
       state,
       source,
       date_trunc('second', clock_timestamp() - created_at) AS age,
       date_trunc('milliseconds', duration) AS running_for,
       row_count AS rows,
       rows_rejected AS rejected,
       CASE WHEN state = 'succeeded' THEN 100.0 ELSE round(100 * done, 1) END AS percent,
       round(rows_per_second) AS "rows/s",
       CASE WHEN state = 'running' AND done > 0
            THEN date_trunc('second', duration * ((1 - done) / done)::double precision) END AS eta,
       failures,
       worker,
       CASE WHEN state IN ('uploading', 'running')
            THEN date_trunc('second', clock_timestamp() - heartbeat_at) END AS beat_age,
       CASE WHEN state = 'queued' THEN
                CASE WHEN run_at > clock_timestamp()
                     THEN 'waiting ' || date_trunc('second', run_at - clock_timestamp()) ELSE 'waiting' END
            WHEN state = 'running' AND backend_pid IS NOT NULL AND NOT backend_alive THEN 'orphan'
            WHEN state IN ('uploading', 'running') THEN
                CASE WHEN heartbeat_at < clock_timestamp() - INTERVAL '15 seconds' THEN 'late' ELSE 'ok' END
       END AS health,
       split_part(error, E'\n', 1) AS error
FROM measured
ORDER BY id DESC;

COMMENT ON VIEW job_status IS 'DataFlow: the jobs, newest first, as a person wants to see them';
