-- Refused rows of a portion that may hold an address in one of these spellings. There is no index for a part of a text.
SELECT r.job_id, r.record, r.name, r.email, r.original
FROM rejects r
WHERE (r.job_id, r.record) > (%(after_job)s::uuid, %(after_record)s::bigint)
  AND (r.job_id, r.record) <= (%(end_job)s::uuid, %(end_record)s::bigint)
  AND EXISTS (SELECT FROM unnest(%(spellings)s::text[]) spelling
              WHERE strpos(lower(concat_ws(E'\n', r.name, r.email, r.original)), lower(spelling)) > 0)
  AND (%(sources)s::text[] IS NULL
       OR EXISTS (SELECT FROM jobs j WHERE j.id = r.job_id AND j.source = ANY (%(sources)s::text[])))
