-- For the transaction that is open: what does not answer in time is given up.
SELECT set_config('statement_timeout', %(milliseconds)s, true), set_config('lock_timeout', %(milliseconds)s, true)
