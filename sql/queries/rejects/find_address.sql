-- Refused rows of a portion that may hold an address in one of these spellings, and last the row with which the portion
-- ends; no row at all when there are no more. There is no index for a part of a text. A portion is what LIMIT says: of
-- its end the planner would expect nothing, and read the whole table for each.
SELECT r.job_id, r.record, r.name, r.email, r.original, false AS is_end
FROM (SELECT * FROM rejects
      WHERE (job_id, record) > (%(after_job)s::uuid, %(after_record)s::bigint)
      ORDER BY job_id, record
      LIMIT %(limit)s) r
WHERE EXISTS (SELECT FROM unnest(%(spellings)s::text[]) spelling
              WHERE strpos(lower(concat_ws(E'\n', r.name, r.email, r.original)), lower(spelling)) > 0)
  AND (%(sources)s::text[] IS NULL
       OR EXISTS (SELECT FROM jobs j WHERE j.id = r.job_id AND j.source = ANY (%(sources)s::text[])))
UNION ALL
(SELECT job_id, record, NULL, NULL, NULL, true
 FROM (SELECT job_id, record FROM rejects
       WHERE (job_id, record) > (%(after_job)s::uuid, %(after_record)s::bigint)
       ORDER BY job_id, record
       LIMIT %(limit)s) portion
 ORDER BY job_id DESC, record DESC
 LIMIT 1)
