-- Found out by the worker. Fenced, as whatever an attempt writes.
UPDATE jobs SET format = %(format)s WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running' RETURNING id
