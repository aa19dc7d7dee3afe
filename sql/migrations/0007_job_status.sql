-- The view for eyes learns what recovery knows: after a lease without a beat a job is an orphan, an upload may be silent
-- for as long as its storage is asked again, and where a role may not see backend_start the pid alone has to do.
CREATE OR REPLACE VIEW job_status AS
WITH live AS (
    SELECT j.*,
           CASE WHEN j.state = 'running' THEN greatest(j.rows_imported, c.tuples_processed)
                ELSE j.rows_imported END AS row_count,
           CASE WHEN j.state = 'running' THEN clock_timestamp() - j.started_at
                ELSE j.finished_at - j.started_at END AS duration,
           clock_timestamp() - j.heartbeat_at AS silence,
           j.backend_pid IS NOT NULL AND a.pid IS NULL AS is_backend_gone
    FROM jobs j
    LEFT JOIN pg_stat_activity a
        ON j.state = 'running' AND a.pid = j.backend_pid
        AND coalesce(a.backend_start, j.backend_start) = j.backend_start
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
       CASE WHEN state IN ('uploading', 'running') THEN date_trunc('second', silence) END AS beat_age,
       CASE state
            WHEN 'queued' THEN
                CASE WHEN run_at > clock_timestamp()
                     THEN 'waiting ' || date_trunc('second', run_at - clock_timestamp()) ELSE 'waiting' END
            WHEN 'running' THEN
                CASE WHEN is_backend_gone OR silence > INTERVAL '30 seconds' THEN 'orphan'
                     WHEN silence > INTERVAL '15 seconds' THEN 'late' ELSE 'ok' END
            WHEN 'uploading' THEN
                CASE WHEN silence > INTERVAL '150 seconds' THEN 'orphan'
                     WHEN silence > INTERVAL '60 seconds' THEN 'late' ELSE 'ok' END
       END AS health,
       split_part(error, E'\n', 1) AS error
FROM measured
ORDER BY id DESC;
