-- How many rows are left, and how they are joined, for the rest of the transaction. Loops over an index only where
-- they read fewer pages than contacts has, and never where the statistics call its pages nearly empty: after a mass
-- delete and another import they do until the next ANALYZE, the planner expects one contact, and a loop would compare
-- each of a million contacts with each row of the file. Sorting for a merge join, and compiling, cost more than they
-- save. 48 MB hold the ids and addresses of 1,000,000 contacts in one hash table (two before Postgres 15), which
-- keeps the order of staging/find_outdated.sql; more memory was no faster.
SELECT staged.row_count,
       set_config('enable_nestloop',
           CASE WHEN 8 * staged.row_count < coalesce(%(distributed_bytes)s::bigint, pg_relation_size(contacts.oid))
                                            / current_setting('block_size')::bigint
                     AND (contacts.relpages = 0 OR contacts.reltuples NOT BETWEEN 0 AND 4 * contacts.relpages)
                THEN 'on' ELSE 'off' END, true),
       set_config('enable_mergejoin', 'off', true),
       set_config('jit', 'off', true),
       (SELECT set_config(name, greatest(setting::bigint, 49152)::text, true)
        FROM pg_settings WHERE name = 'work_mem')
FROM pg_class contacts, (SELECT count(*) AS row_count FROM pg_temp.dataflow_staged) staged
WHERE contacts.oid = 'contacts'::regclass
