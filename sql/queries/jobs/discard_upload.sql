-- A refused request leaves no row behind, once nothing of it is stored. Guarded: who gets no row has lost.
DELETE FROM jobs WHERE id = %(id)s AND state = 'uploading' RETURNING id
