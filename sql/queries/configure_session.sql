-- Times in UTC; and no notices: a trigger that raises one for each row fills the socket during COPY, where nobody
-- reads before the end, and both sides wait for ever (measured). The server notices a dead client within 11 s instead
-- of two hours, and in the middle of a statement too; a listening session may idle for ever, an open transaction not.
SELECT set_config('TimeZone', 'UTC', false), set_config('client_min_messages', 'error', false),
       set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false),
       set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '10s', false),
       set_config('idle_in_transaction_session_timeout', '60s', false), set_config('idle_session_timeout', '0', false)
