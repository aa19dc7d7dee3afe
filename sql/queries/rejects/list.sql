-- A page of the rows that one end of a job has refused. No row at all: the job was tried again since and refuses
-- others. A row without a record: there are no more.
SELECT r.record, r.line, r.field, r.code, r.message, r.name, r.email, r.original, r.truncated
FROM jobs j
LEFT JOIN LATERAL (
    SELECT * FROM rejects WHERE job_id = j.id AND record > %(after)s ORDER BY record LIMIT %(limit)s
) r ON true
WHERE j.id = %(job_id)s AND j.finished_at = %(finished_at)s
ORDER BY r.record
