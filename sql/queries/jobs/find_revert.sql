-- The revert that will undo the import, or has undone it: whoever asks again is answered with the same. An unfinished
-- one comes first, as an old one may be queued again after a later one has succeeded.
SELECT id FROM jobs
WHERE kind = 'revert' AND of_job = %(of_job)s AND state IN ('queued', 'running', 'succeeded')
ORDER BY state = 'succeeded', id DESC
LIMIT 1
