-- One statement for all uploads that a process holds. A row that is missing from the answer was taken over, cancelled or
-- swept; one with a higher attempt is waited for by another request.
UPDATE jobs SET heartbeat_at = clock_timestamp()
FROM unnest(%(ids)s::uuid[], %(holders)s::text[]) AS held (held_id, holder)
WHERE id = held_id AND worker = holder AND state = 'uploading'
RETURNING id, attempt
