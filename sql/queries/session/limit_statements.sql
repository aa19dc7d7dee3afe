-- In milliseconds, for the open transaction or for the session; an import lifts the limits for its transaction. A client
-- that is silent between two statements is limited, too: a process that was stopped there would keep its locks.
SELECT set_config('statement_timeout', %(statement)s, %(is_local)s), set_config('lock_timeout', %(lock)s, %(is_local)s),
       set_config('idle_in_transaction_session_timeout',
                  coalesce(%(silence)s, current_setting('idle_in_transaction_session_timeout')), %(is_local)s)
