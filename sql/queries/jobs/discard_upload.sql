-- A refused request leaves no row, once nothing of it is stored. Guarded: without a row returned, another has won.
DELETE FROM jobs WHERE id = %(id)s AND state = 'uploading' RETURNING id
