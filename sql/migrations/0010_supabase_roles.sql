-- On Supabase everything in schema public is served to the browser key unless row-level security says no. A view runs
-- with its owner's rights, so the views need their grants revoked as well. See 0001_contacts.sql for contacts.
DO $$
BEGIN
    IF to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL THEN
        ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
        ALTER TABLE rejects ENABLE ROW LEVEL SECURITY;
        ALTER TABLE job_counts ENABLE ROW LEVEL SECURITY;
        ALTER TABLE worker_beats ENABLE ROW LEVEL SECURITY;
        ALTER TABLE dataflow_migrations ENABLE ROW LEVEL SECURITY;
        REVOKE ALL ON jobs, rejects, job_counts, worker_beats, dataflow_migrations, job_status, held_jobs
            FROM anon, authenticated;
    END IF;
END
$$;
