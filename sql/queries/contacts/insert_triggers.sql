-- Triggers of the table's owner that fire when contacts are inserted, those of partitions included. Asked after that, as
-- none can be added until the transaction ends. Where row security may hide contacts from us they cannot be counted.
SELECT string_agg(DISTINCT tgname, ', ' ORDER BY tgname) AS names
FROM pg_trigger
WHERE tgrelid IN (SELECT 'contacts'::regclass UNION ALL SELECT relid FROM pg_partition_tree('contacts'))
  AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 4 <> 0 AND NOT row_security_active('contacts')
