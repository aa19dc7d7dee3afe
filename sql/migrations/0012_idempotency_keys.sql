-- Requests that may be sent again: who holds an Idempotency-Key, or what was answered. The rules by which a key becomes
-- free are in queries/idempotency_keys/take_over.sql.
CREATE TABLE idempotency_keys (
    scope TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    claim_id UUID NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    job_id UUID,
    status INTEGER,
    headers JSON,
    body JSON,
    body_sha256 TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    touched_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (scope, route, key),
    CONSTRAINT idempotency_keys_only_success CHECK (status BETWEEN 200 AND 299),
    CONSTRAINT idempotency_keys_answer_is_whole
        CHECK ((status IS NULL) = (headers IS NULL) AND (status IS NULL) = (body IS NULL))
);
-- Serves idempotency_keys/delete_old.sql.
CREATE INDEX idempotency_keys_touched ON idempotency_keys (touched_at);

COMMENT ON TABLE idempotency_keys IS 'DataFlow: requests with an Idempotency-Key, for as long as they can be sent again';
COMMENT ON COLUMN idempotency_keys.scope IS 'who sends it: name of the API key, id of the token, or anybody';
COMMENT ON COLUMN idempotency_keys.route IS 'what is asked for: import or uploads';
COMMENT ON COLUMN idempotency_keys.claim_id IS 'of the request that holds the key, or has answered; the fencing token';
COMMENT ON COLUMN idempotency_keys.fingerprint IS 'SHA-256 of the options, as far as the head of the request has them';
COMMENT ON COLUMN idempotency_keys.job_id IS 'the job that the request has made';
COMMENT ON COLUMN idempotency_keys.status IS 'of the answer; null while the request is under way';
COMMENT ON COLUMN idempotency_keys.body_sha256 IS 'SHA-256 of the content; of a form, of that and of its fields';
COMMENT ON COLUMN idempotency_keys.created_at IS 'when the request came';
COMMENT ON COLUMN idempotency_keys.touched_at IS 'last sign of life of the request, or when it was answered';

-- The latest other import that has had the same content: its contacts are there, or will be.
CREATE FUNCTION dataflow_duplicate_of(this_id UUID, this_sha256 TEXT, this_source TEXT) RETURNS UUID
LANGUAGE sql STABLE AS $$
    SELECT id FROM jobs
    WHERE content_sha256 = this_sha256 AND source = this_source AND id <> this_id
      AND kind = 'import' AND state IN ('queued', 'running', 'succeeded')
      AND options ->> 'dryRun' IS DISTINCT FROM 'true' AND reverted_at IS NULL
    ORDER BY id DESC
    LIMIT 1
$$;

-- As in 0010_supabase_roles.sql.
DO $$
BEGIN
    IF to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL THEN
        ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
        REVOKE ALL ON idempotency_keys FROM anon, authenticated;
    END IF;
END
$$;
