-- One row a job, in the order in which a person wants to read it in psql. `state` is text with a CHECK because values
-- of an enum cannot be dropped. The fill factor leaves room for heartbeats to stay heap-only updates. Statistics are
-- renewed after a hundredth of the rows has changed: after the usual tenth of a million, the planner would look for a
-- whole queue in the wrong place.
CREATE TABLE jobs (
    id UUID PRIMARY KEY,
    kind TEXT NOT NULL DEFAULT 'import',
    of_job UUID,
    state TEXT NOT NULL DEFAULT 'uploading',
    source TEXT,
    file_name TEXT,
    rows_imported BIGINT NOT NULL DEFAULT 0,
    rows_updated BIGINT NOT NULL DEFAULT 0,
    rows_skipped BIGINT NOT NULL DEFAULT 0,
    rows_rejected BIGINT NOT NULL DEFAULT 0,
    bytes_done BIGINT NOT NULL DEFAULT 0,
    bytes_total BIGINT,
    error TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    max_failures INTEGER NOT NULL DEFAULT 5,
    losses INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    backend_pid INTEGER,
    backend_start TIMESTAMPTZ,
    heartbeat_at TIMESTAMPTZ,
    run_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    started_at TIMESTAMPTZ,
    finished_at TIMESTAMPTZ,
    object_key TEXT,
    object_etag TEXT,
    upload_url TEXT,
    content_type TEXT,
    format TEXT,
    digests JSONB NOT NULL DEFAULT '[]',
    options JSONB NOT NULL DEFAULT '{}',
    detected JSONB NOT NULL DEFAULT '{}',
    issues JSONB NOT NULL DEFAULT '[]',
    first_contact_id UUID,
    last_contact_id UUID,
    object_deleted_at TIMESTAMPTZ,
    reverted_at TIMESTAMPTZ,
    reverted_rows BIGINT,
    request_id TEXT,
    idempotency_key TEXT,
    rows_read BIGINT NOT NULL DEFAULT 0,
    rows_not_imported BIGINT NOT NULL DEFAULT 0,
    database_id TEXT NOT NULL DEFAULT dataflow_database_id(),
    uncharged_since TIMESTAMPTZ,
    CONSTRAINT jobs_kind_known CHECK (kind IN ('import', 'export', 'revert')),
    CONSTRAINT jobs_state_known
        CHECK (state IN ('uploading', 'queued', 'running', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT jobs_finished_exactly_in_final_states
        CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
    -- An upload that ends early may not have said its source.
    CONSTRAINT jobs_import_has_source
        CHECK (kind <> 'import' OR source IS NOT NULL OR state IN ('uploading', 'cancelled')
               OR (state = 'failed' AND bytes_total IS NULL)),
    CONSTRAINT jobs_revert_has_import CHECK ((kind = 'revert') = (of_job IS NOT NULL)),
    CONSTRAINT jobs_running_has_worker
        CHECK (state <> 'running' OR (worker IS NOT NULL AND heartbeat_at IS NOT NULL)),
    -- `infinity` would break every view of the age; a job is held back by a far date, or cancelled.
    CONSTRAINT jobs_run_at_finite CHECK (isfinite(run_at)),
    CONSTRAINT jobs_counts_add_up CHECK (finished_at IS NULL OR rows_read =
        rows_imported + rows_updated + rows_skipped + rows_rejected + rows_not_imported)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100,
        autovacuum_analyze_scale_factor = 0.01);

-- No change of progress or of a beat touches an index.
-- Serves jobs/claim.sql, jobs/next_due.sql and the age of the oldest waiting job.
CREATE INDEX jobs_due ON jobs (database_id, run_at, id) WHERE state = 'queued';
-- Serves jobs/claim.sql: whether a job that must run alone has waited too long.
CREATE INDEX jobs_due_alone ON jobs (run_at) WHERE state = 'queued' AND losses > 0;
-- Serves whatever looks at work in progress, its counts by state, and lists of it.
CREATE INDEX jobs_unfinished ON jobs (state, id) WHERE state IN ('uploading', 'queued', 'running');
-- Serve jobs/list.sql. The few jobs that are uploading or running are looked through for a source.
CREATE INDEX jobs_ended ON jobs (state, id) WHERE state IN ('succeeded', 'failed', 'cancelled');
CREATE INDEX jobs_of_source ON jobs (source, id);
CREATE INDEX jobs_of_source_by_state ON jobs (source, state, id)
    WHERE state IN ('queued', 'succeeded', 'failed', 'cancelled');
-- Serves jobs/delete_old.sql.
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
-- Serve jobs/leftovers.sql: all files, and those that can go soon, which files kept for days must not hide.
CREATE INDEX jobs_with_object ON jobs (finished_at)
    WHERE finished_at IS NOT NULL AND object_key IS NOT NULL AND object_deleted_at IS NULL;
CREATE INDEX jobs_with_settled_object ON jobs (finished_at, id)
    WHERE finished_at IS NOT NULL AND object_key IS NOT NULL AND object_deleted_at IS NULL
        AND (state = 'succeeded' OR digests = '[]' OR upload_url IS NOT NULL);
-- Serves held_jobs.
CREATE INDEX jobs_holdable ON jobs (database_id)
    WHERE finished_at IS NULL OR (object_key IS NOT NULL AND object_deleted_at IS NULL);
-- One unfinished revert for each import; and all of its reverts, for jobs/find_revert.sql.
CREATE UNIQUE INDEX jobs_one_revert ON jobs (of_job) WHERE kind = 'revert' AND state IN ('queued', 'running');
CREATE INDEX jobs_reverts ON jobs (of_job) WHERE kind = 'revert';

COMMENT ON TABLE jobs IS 'DataFlow: one row a job, from the first byte of its request to its result';
COMMENT ON COLUMN jobs.id IS 'UUIDv7, the jobId that clients see; sorts by creation';
COMMENT ON COLUMN jobs.kind IS 'import, export or revert';
COMMENT ON COLUMN jobs.of_job IS 'the import that a revert undoes';
COMMENT ON COLUMN jobs.state IS
    'uploading -> queued -> running -> succeeded | failed | cancelled; set it to cancelled to stop a job, to queued to run it again';
COMMENT ON COLUMN jobs.source IS 'where the contacts come from, copied into every contact';
COMMENT ON COLUMN jobs.file_name IS 'the name of the uploaded file, when the client gave one';
COMMENT ON COLUMN jobs.rows_imported IS 'contacts inserted; while running, copied so far but not committed';
COMMENT ON COLUMN jobs.rows_updated IS 'rows that changed contacts which were there (onConflict=update)';
COMMENT ON COLUMN jobs.rows_skipped IS
    'valid rows left out because their e-mail was there already, or again in the file';
COMMENT ON COLUMN jobs.rows_rejected IS 'rows refused because they are not a contact';
COMMENT ON COLUMN jobs.bytes_done IS 'bytes received while uploading, bytes of the object read while running';
COMMENT ON COLUMN jobs.bytes_total IS 'size of the body in bytes, once all of them are stored';
COMMENT ON COLUMN jobs.error IS 'why the last attempt ended: a stable code, a colon and one sentence';
COMMENT ON COLUMN jobs.attempt IS 'how often the job was claimed; the fencing token, it only grows';
COMMENT ON COLUMN jobs.failures IS 'attempts charged to the retry budget';
COMMENT ON COLUMN jobs.max_failures IS 'the retry budget';
COMMENT ON COLUMN jobs.losses IS 'workers that died while they had the job';
COMMENT ON COLUMN jobs.worker IS 'who has the job: host or dyno, process id, boot id';
COMMENT ON COLUMN jobs.backend_pid IS 'server process that runs the COPY, see pg_stat_activity';
COMMENT ON COLUMN jobs.backend_start IS 'start of that server process; tells it from a later one with the same pid';
COMMENT ON COLUMN jobs.heartbeat_at IS 'last sign of life of the request or the worker that has the job';
COMMENT ON COLUMN jobs.run_at IS 'not claimed before this time';
COMMENT ON COLUMN jobs.created_at IS 'when the request began';
COMMENT ON COLUMN jobs.started_at IS 'when the last attempt was claimed';
COMMENT ON COLUMN jobs.finished_at IS 'set exactly in the final states';
COMMENT ON COLUMN jobs.object_key IS 'key of the uploaded body in the storage bucket';
COMMENT ON COLUMN jobs.object_etag IS 'ETag of the object as it was stored';
COMMENT ON COLUMN jobs.upload_url IS
    'the storage''s address of a resumable upload that is not an object (yet); with bytes_total, all of its bytes are there';
COMMENT ON COLUMN jobs.content_type IS 'Content-Type of the content as the client declared it';
COMMENT ON COLUMN jobs.format IS 'format of the content as recognised: json, ndjson, csv, vcard or xlsx';
COMMENT ON COLUMN jobs.digests IS
    '[[end_offset, sha256], ...], one for each request that delivered bytes; empty when there is no whole file (any more)';
COMMENT ON COLUMN jobs.options IS 'what the client asked for: onInvalid, maxRejects, onConflict, dryRun, mapping, ...';
COMMENT ON COLUMN jobs.detected IS
    'what was found out about the file: encoding, delimiter, header line, columns, mapping, ...';
COMMENT ON COLUMN jobs.issues IS
    'what is wrong with the first refused rows, at most 100: path and message; all are in rejects';
COMMENT ON COLUMN jobs.first_contact_id IS
    'first contact of the import; its contacts are the range up to last_contact_id. Of a revert: where it goes on';
COMMENT ON COLUMN jobs.last_contact_id IS 'last contact of the import';
COMMENT ON COLUMN jobs.object_deleted_at IS 'when the stored object was removed';
COMMENT ON COLUMN jobs.reverted_at IS 'when the import was undone completely';
COMMENT ON COLUMN jobs.reverted_rows IS 'contacts that undoing has removed so far';
COMMENT ON COLUMN jobs.request_id IS 'X-Request-Id of the request that made the job; the same in every log line';
COMMENT ON COLUMN jobs.idempotency_key IS 'Idempotency-Key of that request';
COMMENT ON COLUMN jobs.rows_read IS 'rows of the file: imported + updated + skipped + rejected + not imported';
COMMENT ON COLUMN jobs.rows_not_imported IS 'valid rows of an import that failed or was cancelled, or of a dry run';
COMMENT ON COLUMN jobs.database_id IS
    'the database that the job was made in, or adopted by; what is of another one is held until dataflow adopt';
COMMENT ON COLUMN jobs.uncharged_since IS
    'when an attempt first failed for too many connections: not charged to failures for half an hour from then on';
