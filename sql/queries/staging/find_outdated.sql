-- Like staging/find_known.sql, with the contacts, of which one address may have many: plain imports allow that. In
-- the order in which they lie in the table, else the update visits each page again and again (500,000 page writes for
-- 1,000,000 contacts instead of 35,000, and twice the time).
CREATE TEMPORARY TABLE dataflow_known ON COMMIT DROP AS
SELECT s.id AS staged_id, s.name, s.key, c.id AS contact_id
FROM pg_temp.dataflow_staged s
JOIN contacts c ON lower(c.email) = s.key
ORDER BY c.ctid
