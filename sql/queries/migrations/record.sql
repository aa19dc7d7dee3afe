-- In the migration's own transaction: applied and recorded, or neither.
INSERT INTO dataflow_migrations (version, name) VALUES (%(version)s, %(name)s)
