-- Behind a transaction pooler no session is a worker's own: there it shows by a row of its own that it is alive.
CREATE TABLE worker_beats (
    worker TEXT PRIMARY KEY,
    started_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    seen_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
COMMENT ON TABLE worker_beats IS
    'DataFlow: workers that are connected through a pooler; /health counts those seen within 15 s. Others have sessions';
COMMENT ON COLUMN worker_beats.worker IS 'as in jobs.worker: host or dyno, process and boot';
COMMENT ON COLUMN worker_beats.started_at IS 'when it first connected through the pooler';
COMMENT ON COLUMN worker_beats.seen_at IS 'renewed every 5 s';
