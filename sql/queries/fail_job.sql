-- Fenced like success. What an attempt counted before it failed stays visible, except rows: none were kept.
UPDATE jobs
SET state = 'failed', failures = failures + 1, error = %(error)s, rows_imported = 0,
    rows_rejected = %(rows_rejected)s, bytes_done = %(bytes_done)s, issues = %(issues)s
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'
RETURNING id
