-- What is left for ordinary users, to compare with what our processes may open.
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS free
