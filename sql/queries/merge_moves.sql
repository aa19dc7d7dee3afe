-- Whether a merge works or waits for its turn, as one statement of a large one takes longer than an import may stand
-- still. Waiting for any other lock is standing still, and so is waiting for us.
SELECT FROM pg_stat_activity
WHERE pid = %(pid)s AND state = 'active'
  AND (wait_event_type IS NULL OR wait_event_type NOT IN ('Lock', 'Client') OR wait_event = 'advisory')
