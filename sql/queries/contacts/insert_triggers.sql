-- Triggers of the table's owner and of its partitions that fire for inserted contacts. Asked after the inserts, when
-- none can be added until the transaction ends. None are named where row security may hide contacts from the count.
SELECT string_agg(DISTINCT tgname, ', ' ORDER BY tgname) AS names
FROM pg_trigger
WHERE tgrelid IN (SELECT 'contacts'::regclass UNION ALL SELECT relid FROM pg_partition_tree('contacts'))
  AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 4 <> 0 AND NOT row_security_active('contacts')
