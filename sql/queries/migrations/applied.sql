-- Read under the lock, so that ten processes starting at once each see what the others did.
SELECT version, name FROM dataflow_migrations
