-- The settings of session/configure.sql and session/notice_dead_client.sql, for the open transaction only: behind a
-- pooler the session is somebody else's next. Its network and its idle time are the pooler's. One statement, because
-- each of our transactions begins with it.
DO $$
BEGIN
    PERFORM set_config('TimeZone', 'UTC', true), set_config('client_encoding', 'UTF8', true),
            set_config('client_min_messages', 'error', true),
            set_config('idle_in_transaction_session_timeout', '60s', true);
    BEGIN
        PERFORM set_config('client_connection_check_interval', '1s', true);
    EXCEPTION WHEN invalid_parameter_value THEN
        NULL;
    END;
END
$$
