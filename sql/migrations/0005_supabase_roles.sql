-- On Supabase everything in schema public is served to the browser key unless row-level security says no. A view
-- runs with its owner's rights, so job_status needs its grants revoked as well.
DO $$
BEGIN
    IF to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL THEN
        ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
        ALTER TABLE dataflow_migrations ENABLE ROW LEVEL SECURITY;
        REVOKE ALL ON jobs, dataflow_migrations, job_status FROM anon, authenticated;
    END IF;
END
$$;
