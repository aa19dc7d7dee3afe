-- For the transaction that is open, in milliseconds: what does not answer in time is given up.
SELECT set_config('statement_timeout', %(statement)s, true), set_config('lock_timeout', %(lock)s, true)
