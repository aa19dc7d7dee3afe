-- The size of contacts on all nodes of a distributed database, where this node has none of it. No row for an ordinary
-- table, whose size this function refuses to tell.
SELECT citus_relation_size(logicalrelid) FROM pg_dist_partition WHERE logicalrelid = 'contacts'::regclass
