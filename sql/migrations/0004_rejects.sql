-- The refused rows of imports. No foreign key: it would be checked once for each of a hundred thousand rows, and nobody
-- writes rejects but the transaction that settles their job.
CREATE TABLE rejects (
    job_id UUID NOT NULL,
    record BIGINT NOT NULL,
    line BIGINT,
    field TEXT,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    name TEXT,
    email TEXT,
    original TEXT NOT NULL,
    truncated BOOLEAN NOT NULL DEFAULT false,
    PRIMARY KEY (job_id, record)
);
COMMENT ON TABLE rejects IS 'DataFlow: the refused rows of imports; DELETE /jobs/{id} and JOB_RETENTION_DAYS remove them';
COMMENT ON COLUMN rejects.record IS 'the row''s number in its file, from 1, without header and blank lines';
COMMENT ON COLUMN rejects.line IS 'the physical line on which it begins, from 1; null in a JSON document';
COMMENT ON COLUMN rejects.field IS 'name or email; null when the row as a whole is at fault';
COMMENT ON COLUMN rejects.code IS 'what is wrong, one of a small set that README explains';
COMMENT ON COLUMN rejects.name IS 'what would have been the name, if it is text';
COMMENT ON COLUMN rejects.email IS 'what would have been the e-mail, if it is text';
COMMENT ON COLUMN rejects.original IS 'the row as it came: a JSON array of its cells, or its text';
COMMENT ON COLUMN rejects.truncated IS 'whether something of original, name or email was cut to fit';
