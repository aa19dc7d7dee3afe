-- What session/configure.sql and session/notice_dead_client.sql set, for the transaction that is open: behind a pooler the session
-- is somebody else's next. Its network is the pooler's, too, and so is how long it may idle. One statement, because there
-- is one at the beginning of each of our transactions.
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
