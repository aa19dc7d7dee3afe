-- Fenced like success. What an attempt counted before it ended stays visible, except rows: none were kept.
UPDATE jobs
SET state = %(state)s, failures = failures + %(charge)s, error = %(error)s,
    rows_rejected = %(rows_rejected)s, bytes_done = %(bytes_done)s, issues = %(issues)s
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'
RETURNING id
