-- The row may be missing: it goes after a long silence, and a restored database may lack it.
INSERT INTO worker_beats (worker) VALUES (%(worker)s)
ON CONFLICT (worker) DO UPDATE SET seen_at = excluded.seen_at
