-- What /metrics publishes of the jobs that have ended, so that a million of them are not counted at each look. Rows are
-- added up and nobody changes one, so that no two jobs wait for each other: whatever ends, is tried again or is deleted
-- adds a row, and the sweep puts one row in the place of many (job_counts/fold.sql).
CREATE TABLE job_counts (
    jobs_succeeded BIGINT NOT NULL DEFAULT 0,
    jobs_failed BIGINT NOT NULL DEFAULT 0,
    jobs_cancelled BIGINT NOT NULL DEFAULT 0,
    rows_read BIGINT NOT NULL DEFAULT 0,
    rows_imported BIGINT NOT NULL DEFAULT 0,
    rows_updated BIGINT NOT NULL DEFAULT 0,
    rows_skipped BIGINT NOT NULL DEFAULT 0,
    rows_rejected BIGINT NOT NULL DEFAULT 0,
    rows_not_imported BIGINT NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE job_counts IS
    'DataFlow: its sums are the jobs in each final state, and the rows of all jobs that have ever ended; see triggers of jobs';
