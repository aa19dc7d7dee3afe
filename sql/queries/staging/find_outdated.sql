-- find_known with the contacts themselves, of which one address may have many: plain imports allow that. In the order in
-- which they lie in the table, or the update visits each page again and again (measured: 500,000 page writes for
-- 1,000,000 contacts, 35,000 in order, and half the time).
CREATE TEMPORARY TABLE dataflow_known ON COMMIT DROP AS
SELECT s.id AS staged_id, s.name, s.key, c.id AS contact_id
FROM pg_temp.dataflow_staged s
JOIN contacts c ON lower(c.email) = s.key
ORDER BY c.ctid
