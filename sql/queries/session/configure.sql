-- Only where the process that we have connected to runs the statement: behind a pooler, which reports another
-- process, there is no row and nothing is set.
-- No notices: a trigger that raises one for each row fills the socket during COPY, where nobody reads before the end,
-- and both sides wait for ever (measured). Read committed whatever the database's default: beats have changed the row
-- that settles a job since the import began. The server notices a dead client within 11 s instead of two hours. A
-- listening session may idle for ever, an open transaction not. COPY sends UTF-8, also to a database that is not.
SELECT set_config('TimeZone', 'UTC', false), set_config('client_encoding', 'UTF8', false),
       set_config('client_min_messages', 'error', false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false),
       set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '10s', false),
       set_config('idle_in_transaction_session_timeout', '60s', false), set_config('idle_session_timeout', '0', false)
WHERE pg_backend_pid() = %(pid)s
