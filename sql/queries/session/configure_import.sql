-- Supabase caps statements at two minutes, and an import is one; transaction_timeout exists from Postgres 17 on.
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')
