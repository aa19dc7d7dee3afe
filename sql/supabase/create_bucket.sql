-- The private bucket for uploads, for those who set up Supabase by SQL; `dataflow migrate` makes it over REST instead.
-- With another STORAGE_BUCKET, change the name in both columns.
INSERT INTO storage.buckets (id, name, public)
VALUES ('imports', 'imports', false)
ON CONFLICT (id) DO UPDATE SET public = false
