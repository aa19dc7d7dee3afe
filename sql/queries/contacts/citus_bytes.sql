-- How large contacts is on all nodes of a distributed database: on this one it is empty. No row when it is an ordinary
-- table there, whose size this function refuses to tell.
SELECT citus_relation_size(logicalrelid) FROM pg_dist_partition WHERE logicalrelid = 'contacts'::regclass
