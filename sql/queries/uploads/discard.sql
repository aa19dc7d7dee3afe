-- A refused upload leaves no row, once nothing of it is stored.
DELETE FROM jobs WHERE id = %(id)s AND worker = %(holder)s AND state = 'uploading' RETURNING id
