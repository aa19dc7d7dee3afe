-- The last statement of the transaction that deleted the contacts: both commit, or neither. Fenced by the attempt.
UPDATE jobs
SET first_contact_id = %(position)s, reverted_rows = reverted_rows + %(rows)s,
    state = CASE WHEN %(is_done)s THEN 'succeeded' ELSE state END
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'
RETURNING id
