-- Autovacuum does not see temporary tables, and without this the planner knows nothing of one.
ANALYZE pg_temp.dataflow_staged (key)
