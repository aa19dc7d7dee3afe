-- The last statement of the transaction that copied the contacts: both commit, or neither. Fenced by the attempt.
UPDATE jobs
SET state = 'succeeded', rows_imported = %(rows_imported)s, rows_rejected = %(rows_rejected)s,
    bytes_done = %(bytes_done)s, issues = %(issues)s, first_contact_id = %(first_contact_id)s,
    last_contact_id = %(last_contact_id)s
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'
RETURNING id
