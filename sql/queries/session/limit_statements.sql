-- In milliseconds, for the open transaction or for the session; an import lifts the limits for its transaction.
SELECT set_config('statement_timeout', %(statement)s, %(is_local)s), set_config('lock_timeout', %(lock)s, %(is_local)s)
