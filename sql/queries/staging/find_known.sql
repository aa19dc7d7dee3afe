-- The staged rows whose address is there. A table, because its size tells the planner how many they are.
CREATE TEMPORARY TABLE dataflow_known ON COMMIT DROP AS
SELECT s.id AS staged_id
FROM pg_temp.dataflow_staged s
JOIN contacts c ON lower(c.email) = s.key
