-- Again inside the transaction, as behind a pooler the session's settings may have gone to another server process.
-- Supabase caps statements at two minutes, and an import is one.
SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
       set_config('idle_in_transaction_session_timeout', '60s', true),
       set_config('TimeZone', 'UTC', true), set_config('client_min_messages', 'error', true)
