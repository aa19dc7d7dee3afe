-- Text format, in the transaction that settles the job, so that refused rows and outcome are one.
COPY rejects (job_id, record, line, field, code, message, name, email, original, truncated) FROM STDIN
