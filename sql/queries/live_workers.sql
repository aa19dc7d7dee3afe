-- A worker is alive as long as its listening session is; the name is set by the worker.
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'dataflow/%%/listen'
