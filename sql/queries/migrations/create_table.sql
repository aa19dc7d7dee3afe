-- The migrator's own table: it has to exist before the first migration.
CREATE TABLE IF NOT EXISTS dataflow_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)
