-- Over the whole range, also when an earlier one had come far: passing by 1,000,000 contacts that are gone takes 0.2 s.
-- An old one that somebody queues again in this moment is found by the unique index only.
INSERT INTO jobs (id, kind, of_job, state, source, first_contact_id, last_contact_id, reverted_rows, detected, request_id)
SELECT %(id)s, 'revert', id, 'queued', source, first_contact_id, last_contact_id, 0,
       CASE WHEN rows_updated > 0 THEN jsonb_build_object('rowsNotReverted', rows_updated) ELSE '{}' END, %(request_id)s
FROM jobs
WHERE id = %(of_job)s
ON CONFLICT (of_job) WHERE kind = 'revert' AND state IN ('queued', 'running') DO NOTHING
RETURNING id
