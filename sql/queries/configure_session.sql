-- Times in UTC; and no notices: a trigger that raises one for each row fills the socket during COPY, where nobody
-- reads before the end, and both sides wait for ever (measured).
SELECT set_config('TimeZone', 'UTC', false), set_config('client_min_messages', 'error', false)
