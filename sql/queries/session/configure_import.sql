-- An import is one statement, and Supabase caps those at two minutes; transaction_timeout exists from Postgres 17 on.
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')
