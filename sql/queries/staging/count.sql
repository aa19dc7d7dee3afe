-- Rows, and how many addresses they have at least: two may share a hash, one cannot have two. Where both are the same,
-- no address comes again. Numbers are sorted in a third of the time that addresses take.
SELECT count(*) AS row_count, count(DISTINCT hashtextextended(key COLLATE "C", 0)) AS address_count
FROM pg_temp.dataflow_staged
