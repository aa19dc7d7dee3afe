-- An upload whose address is still there is not an object yet, whatever its row says besides: it cannot be queued, and one
-- that ends so has never been a whole file.
CREATE FUNCTION dataflow_guard_open_upload() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.state NOT IN ('failed', 'cancelled') THEN
        RAISE EXCEPTION 'job % cannot be %: its upload is still open, so the storage has no object yet', old.id, new.state;
    END IF;
    new.digests = '[]';
    new.bytes_total = NULL;
    RETURN new;
END
$$;

CREATE TRIGGER jobs_guard_open_upload BEFORE UPDATE OF state ON jobs
    FOR EACH ROW WHEN (new.upload_url IS NOT NULL AND new.state <> old.state AND new.state <> 'uploading')
    EXECUTE FUNCTION dataflow_guard_open_upload();

COMMENT ON COLUMN jobs.upload_url IS
    'the storage''s address of a resumable upload that is not an object (yet); with bytes_total, all of its bytes are there';
COMMENT ON COLUMN jobs.bytes_total IS 'size of the body in bytes, once all of them are stored';
