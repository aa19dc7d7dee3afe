-- A backend in a long statement, or waiting for a lock, checks every second that its client is there. Some systems
-- cannot (a server before 15 on macOS) and do without.
DO $$
BEGIN
    PERFORM set_config('client_connection_check_interval', '1s', false);
EXCEPTION WHEN invalid_parameter_value THEN
    NULL;
END
$$
