-- Where the upload goes in the storage, which may forget it earlier than we do.
UPDATE jobs SET upload_url = %(address)s, expires_at = least(expires_at, %(expires_at)s)
WHERE id = %(id)s AND worker = %(holder)s AND state = 'uploading'
RETURNING expires_at
