-- For the rest of the transaction. Sorting for a merge join, and compiling, cost more than they save. 48 MB hold the
-- ids and addresses of 1,000,000 contacts in one hash table (two before Postgres 15), which keeps the order of
-- staging/find_outdated.sql and of contacts/insert_unknown.sql; more memory was no faster.
SELECT set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true),
       (SELECT set_config(name, greatest(setting::bigint, 49152)::text, true)
        FROM pg_settings WHERE name = 'work_mem')
