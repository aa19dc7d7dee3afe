-- Proves that a listener hears, and tells it to look at the table.
SELECT pg_notify(%(channel)s, %(payload)s)
