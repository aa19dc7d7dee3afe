-- Text format, from the worker's disk, in the transaction that settles the job: refused rows and outcome are one.
COPY rejects (job_id, record, line, field, code, message, name, email, original, truncated) FROM STDIN
