-- A dump carries the jobs of a database and not their files, which the jobs of the original still need. So each job
-- says in which database it was made, and one made in another database is held: nobody runs it, nobody reads or deletes
-- its file, until `dataflow adopt` says whose it is. Nothing has to notice the moment of the copy.

-- Both numbers change when a dump is restored, in a database made of a template, on a logical subscriber and with
-- pg_upgrade; on a standby that is promoted they stay. Any role may ask for them.
CREATE FUNCTION dataflow_database_id() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (pg_catalog.pg_control_system()).system_identifier || '/'
        || (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database());
END
$$;
COMMENT ON FUNCTION dataflow_database_id() IS
    'DataFlow: system identifier of the server and oid of the database, which no dump takes along';
