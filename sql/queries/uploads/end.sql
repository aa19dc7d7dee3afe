-- By its client, or because the storage has lost it. What is stored of it is removed after this has committed.
UPDATE jobs SET state = %(state)s, error = %(error)s
WHERE id = %(id)s AND worker = %(holder)s AND state = 'uploading'
RETURNING id
