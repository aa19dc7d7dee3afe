-- Where a portion of the refused rows ends; no row when there are no more.
SELECT job_id, record
FROM (SELECT job_id, record FROM rejects
      WHERE (job_id, record) > (%(after_job)s::uuid, %(after_record)s::bigint)
      ORDER BY job_id, record
      LIMIT %(limit)s) portion
ORDER BY job_id DESC, record DESC
LIMIT 1
