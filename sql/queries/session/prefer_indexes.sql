-- For the transaction. Counting a whole queue, the planner fears for each row that it must be looked up in the table, and
-- would rather read a million jobs: after a burst, until autovacuum has been there.
SELECT set_config('enable_seqscan', 'off', true)
