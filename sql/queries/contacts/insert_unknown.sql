-- In the order of ids, for the primary key: the order of addresses took three times as long.
INSERT INTO contacts (id, name, email, source)
SELECT s.id, s.name, s.email, %(source)s
FROM pg_temp.dataflow_staged s
WHERE NOT EXISTS (SELECT FROM pg_temp.dataflow_known k WHERE k.staged_id = s.id)
ORDER BY s.id
