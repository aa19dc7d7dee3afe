-- One that will undo the import, or has: who asks again is answered with the same. An old one may have been queued again
-- after a later one had succeeded.
SELECT id FROM jobs
WHERE kind = 'revert' AND of_job = %(of_job)s AND state IN ('queued', 'running', 'succeeded')
ORDER BY state = 'succeeded', id DESC
LIMIT 1
