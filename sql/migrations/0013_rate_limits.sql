-- How many requests each caller has sent in the minute that runs for them, for RATE_LIMIT. Unlogged: a crash of the
-- server costs the counts of a minute, and a request waits for no disk.
CREATE UNLOGGED TABLE rate_limits (
    caller TEXT PRIMARY KEY,
    requests INTEGER NOT NULL,
    ends_at TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE rate_limits IS
    'DataFlow: requests of each caller in the minute that began with the first of them; removed soon after its end';
COMMENT ON COLUMN rate_limits.caller IS 'key:NAME, token:ID, or address:IP (of IPv6 the /64 network)';
COMMENT ON COLUMN rate_limits.requests IS 'also those that were refused, as far as processes have asked';
COMMENT ON COLUMN rate_limits.ends_at IS 'when the minute is over; the next request begins another';

-- As in 0010_supabase_roles.sql.
DO $$
BEGIN
    IF to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL THEN
        ALTER TABLE rate_limits ENABLE ROW LEVEL SECURITY;
        REVOKE ALL ON rate_limits FROM anon, authenticated;
    END IF;
END
$$;
