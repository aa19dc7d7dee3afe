-- Whatever became of the request: the next one need not wait.
-- As uploads/take.sql it does not wait for the disk.
WITH early AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
UPDATE jobs SET worker = NULL FROM early WHERE id = %(id)s AND worker = %(holder)s AND state = 'uploading'
