-- Whether a server process of ours works, and if not, what it waits for. A large merge, and waiting for one's turn to
-- merge (the lock of staging/lock_merge.sql), take longer than an import may stand still: both count as work. Waiting
-- for any other lock, or for us, is standing still.
SELECT a.state = 'active'
           AND (a.wait_event_type IS NULL OR a.wait_event_type NOT IN ('Lock', 'Client') OR a.wait_event = 'advisory')
           AS is_at_work,
       CASE WHEN a.wait_event_type = 'Client' THEN 'rows of its file'
            WHEN l.locktype = 'advisory' AND l.objid::bigint = hashtext('dataflow_merge')::bigint & 4294967295
            THEN format('its turn to merge (%%s before it)', cardinality(pg_blocking_pids(a.pid)))
            WHEN l.locktype IS NOT NULL
            THEN format('%%s that session %%s holds',
                        CASE l.locktype WHEN 'relation' THEN 'a lock on ' || l.relation::regclass
                             WHEN 'advisory' THEN 'an advisory lock' ELSE 'a row' END,
                        (SELECT string_agg(format('%%s (%%s)', b.pid, b.application_name), ', ') FROM pg_stat_activity b
                         WHERE b.pid = ANY (pg_blocking_pids(a.pid)))) END AS waits_for
FROM pg_stat_activity a
LEFT JOIN LATERAL (
    SELECT locktype, objid, relation FROM pg_locks
    WHERE a.wait_event_type = 'Lock' AND pid = a.pid AND NOT granted
    LIMIT 1
) l ON true
WHERE a.pid = %(pid)s
