-- Workers that were killed. Long after they stopped counting, so that a person finds when they were seen last.
DELETE FROM worker_beats WHERE seen_at < statement_timestamp() - make_interval(secs => %(silent_seconds)s)
