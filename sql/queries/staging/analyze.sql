-- Autovacuum cannot see a temporary table, and the planner knows nothing of one without this.
ANALYZE pg_temp.dataflow_staged (id, key)
