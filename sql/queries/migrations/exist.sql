-- Asked first: a missing table cannot be read, and a database that is just being restored has none yet.
SELECT to_regclass('dataflow_migrations') IS NOT NULL AS has_migrations
