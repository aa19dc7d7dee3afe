-- By their numbers, which a job that was tried again may have given to others since.
DELETE FROM rejects
USING unnest(%(job_ids)s::uuid[], %(records)s::bigint[], %(originals)s::text[]) AS found (job_id, record, original)
WHERE rejects.job_id = found.job_id AND rejects.record = found.record AND rejects.original = found.original
