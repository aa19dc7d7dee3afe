-- Again inside the transaction, as behind a pooler the session's settings may have gone to another server process.
-- Supabase caps statements at two minutes, and an import is one; transaction_timeout exists from Postgres 17 on.
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')
UNION ALL
SELECT set_config(name, setting, true)
FROM (VALUES ('idle_in_transaction_session_timeout', '60s'), ('TimeZone', 'UTC'), ('client_min_messages', 'error'),
             ('client_encoding', 'UTF8')) AS ours (name, setting)
