-- For the session, in milliseconds; an import lifts it for its transaction. Not behind a pooler, where the session would
-- be somebody else's next.
SELECT set_config('statement_timeout', %(statement)s, false), set_config('lock_timeout', %(lock)s, false)
