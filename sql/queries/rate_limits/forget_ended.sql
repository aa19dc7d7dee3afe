-- Not with each request: that would take an index on the time, and every count would have to change it.
DELETE FROM rate_limits WHERE ends_at <= statement_timestamp()
