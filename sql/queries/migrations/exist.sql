-- Asked first: of a table that is missing nothing can be read, and a database that is restored just now has none yet.
SELECT to_regclass('dataflow_migrations') IS NOT NULL AS has_migrations
