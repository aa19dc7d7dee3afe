-- Over the whole range, also when an earlier revert had come far: passing 1,000,000 deleted contacts takes 0.2 s. Of
-- an old revert that somebody queues again at this moment only the unique index knows.
INSERT INTO jobs (id, kind, of_job, state, source, first_contact_id, last_contact_id, reverted_rows, detected, request_id,
                  created_by)
SELECT %(id)s, 'revert', id, 'queued', source, first_contact_id, last_contact_id, 0,
       CASE WHEN rows_updated > 0 THEN jsonb_build_object('rowsNotReverted', rows_updated) ELSE '{}' END, %(request_id)s,
       %(created_by)s
FROM jobs
WHERE id = %(of_job)s
ON CONFLICT (of_job) WHERE kind = 'revert' AND state IN ('queued', 'running') DO NOTHING
RETURNING id
