-- What pg_stat_activity shows of the session from now on.
SELECT set_config('application_name', %(role)s, false)
