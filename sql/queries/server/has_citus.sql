-- Asked first: a statement that names the functions and tables of Citus is refused where there is no Citus.
SELECT to_regprocedure('citus_relation_size(regclass)') IS NOT NULL AND to_regclass('pg_dist_partition') IS NOT NULL
