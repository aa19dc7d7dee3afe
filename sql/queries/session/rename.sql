-- The name that pg_stat_activity shows.
SELECT set_config('application_name', %(role)s, false)
