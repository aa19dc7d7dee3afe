-- A dump carries the jobs of a database, and not their files: those are in the storage, where the jobs of the original
-- still need them. Each job says in which database it was made, and what was made in another one is held: nobody runs
-- it, nobody reads or deletes its file, until somebody says whose it is (dataflow adopt). Nothing has to notice the
-- moment of the copy, and no clocks are compared: what the copy makes is of the copy from its first row on.

-- Both numbers are others after a dump is restored, in a database made of a template, on a logical subscriber and after
-- pg_upgrade; on a standby that is promoted they stay. Any role may ask for them. Stable, so that rows which are there
-- get it without being written anew: they are taken to be at home.
CREATE FUNCTION dataflow_database_id() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (pg_catalog.pg_control_system()).system_identifier || '/'
        || (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database());
END
$$;
COMMENT ON FUNCTION dataflow_database_id() IS
    'DataFlow: system identifier of the server and oid of the database, which no dump takes along';

ALTER TABLE jobs ADD COLUMN database_id TEXT NOT NULL DEFAULT dataflow_database_id();
COMMENT ON COLUMN jobs.database_id IS
    'the database that the job was made in, or adopted by; what is of another one is held until dataflow adopt';

-- Serves claim_job.sql, next_due.sql and the age of the oldest waiting job: a queue that is held is not looked through.
DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (database_id, run_at, id) WHERE state = 'queued';
-- Serves held_jobs: all that can be held, to be looked up by where it was made.
CREATE INDEX jobs_holdable ON jobs (database_id)
    WHERE finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL);

-- As two ranges, each by the index, and both are empty where all jobs are at home.
CREATE VIEW held_jobs AS
SELECT * FROM jobs
WHERE (finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL))
  AND database_id < (SELECT dataflow_database_id())
UNION ALL
SELECT * FROM jobs
WHERE (finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL))
  AND database_id > (SELECT dataflow_database_id());
COMMENT ON VIEW held_jobs IS 'DataFlow: jobs that came with a dump or a copy, and are left alone until dataflow adopt';

DO $$
BEGIN
    IF to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL THEN
        REVOKE ALL ON held_jobs FROM anon, authenticated;
    END IF;
END
$$;
