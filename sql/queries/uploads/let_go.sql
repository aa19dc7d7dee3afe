-- Whatever became of the request: the next one need not wait.
UPDATE jobs SET worker = NULL WHERE id = %(id)s AND worker = %(holder)s AND state = 'uploading'
