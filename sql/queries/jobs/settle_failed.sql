-- Fenced like success. What the attempt counted stays visible; a trigger has nothing count as imported, and the
-- counts add up.
UPDATE jobs
SET state = %(state)s, failures = failures + %(charge)s, error = %(error)s, rows_read = %(rows_read)s,
    rows_rejected = %(rows_rejected)s, bytes_done = %(bytes_done)s, issues = %(issues)s,
    detected = detected || %(detected)s
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'
RETURNING id
