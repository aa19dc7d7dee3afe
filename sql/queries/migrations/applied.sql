-- Read under the lock, so that of ten processes starting at once each sees what the others did.
SELECT version, name FROM dataflow_migrations
