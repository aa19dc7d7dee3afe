-- In milliseconds: what does not answer in time is given up. For the transaction that is open, or for the session; an
-- import lifts that for its transaction.
SELECT set_config('statement_timeout', %(statement)s, %(is_local)s), set_config('lock_timeout', %(lock)s, %(is_local)s)
