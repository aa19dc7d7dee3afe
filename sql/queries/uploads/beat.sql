-- One statement for all uploads that a process holds. A row that is missing from the answer was taken over, cancelled or
-- swept; one with a higher attempt is waited for by another request.
-- As uploads/take.sql it does not wait for the disk.
WITH early AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
UPDATE jobs SET heartbeat_at = clock_timestamp()
FROM early, unnest(%(ids)s::uuid[], %(holders)s::text[]) AS held (held_id, holder)
WHERE id = held_id AND worker = holder AND state = 'uploading'
RETURNING id, attempt
