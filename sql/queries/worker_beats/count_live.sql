-- A directly connected worker is alive as long as its listening session, which has this name once it has proved to
-- hear; a worker behind a pooler, as long as it beats.
SELECT (SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'dataflow/%%/listen')
     + (SELECT count(*) FROM worker_beats
        WHERE seen_at > statement_timestamp() - make_interval(secs => %(silent_seconds)s)) AS live
