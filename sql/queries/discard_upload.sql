-- A refused request leaves no row behind. Guarded, and before its object is deleted: who gets no row has lost.
DELETE FROM jobs WHERE id = %(id)s AND state = 'uploading' RETURNING id
