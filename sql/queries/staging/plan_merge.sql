-- How the rows that are left are joined, for the rest of the transaction. Loops over an index only where they read
-- fewer pages than contacts has, and never where the statistics call its pages nearly empty: after a mass delete and
-- another import they do until the next ANALYZE, the planner expects one contact, and a loop would compare each of a
-- million contacts with each row of the file.
SELECT set_config('enable_nestloop',
           CASE WHEN 8 * %(row_count)s::bigint < coalesce(%(distributed_bytes)s::bigint, pg_relation_size(oid))
                                                 / current_setting('block_size')::bigint
                     AND (relpages = 0 OR reltuples NOT BETWEEN 0 AND 4 * relpages)
                THEN 'on' ELSE 'off' END, true)
FROM pg_class
WHERE oid = 'contacts'::regclass
