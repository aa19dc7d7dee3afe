-- What the storage has acknowledged, by the request that holds the upload and nobody else; it lets go
-- of it at its end.
-- As uploads/take.sql it does not wait for the disk.
WITH early AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
UPDATE jobs
SET bytes_done = %(offset)s, digests = %(digests)s, upload_length = %(length)s, format = %(format)s,
    heartbeat_at = clock_timestamp(), worker = CASE WHEN %(is_over)s THEN NULL ELSE worker END
FROM early
WHERE id = %(id)s AND worker = %(holder)s AND state = 'uploading'
RETURNING attempt
