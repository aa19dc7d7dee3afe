-- As session/configure_import.sql; and at its end an export waits for whoever takes its last bytes, within the
-- transaction, for as long as that may take.
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')
