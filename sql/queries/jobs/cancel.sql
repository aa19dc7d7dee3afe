-- What a person types into psql, guarded: a final state is final. Whoever has the job finds out at its next beat.
UPDATE jobs SET state = 'cancelled' WHERE id = %(id)s AND state IN ('uploading', 'queued', 'running') RETURNING id
