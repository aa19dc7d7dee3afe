-- A listener's proof that it hears, and a hint to look at the table.
SELECT pg_notify(%(channel)s, %(payload)s)
