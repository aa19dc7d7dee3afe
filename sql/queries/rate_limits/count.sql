-- One statement, so that no count is lost between processes; by the server's clock, which is the same for all of them.
INSERT INTO rate_limits AS known (caller, requests, ends_at)
VALUES (%(caller)s, 1, statement_timestamp() + make_interval(secs => %(window_seconds)s))
ON CONFLICT (caller) DO UPDATE
SET requests = CASE WHEN known.ends_at <= statement_timestamp() THEN 1 ELSE known.requests + 1 END,
    ends_at = CASE WHEN known.ends_at <= statement_timestamp() THEN excluded.ends_at ELSE known.ends_at END
RETURNING requests, extract(epoch FROM ends_at - statement_timestamp())::double precision AS left_seconds
