-- For the transaction. After a burst, until autovacuum has come by, the planner fears that each entry of the index
-- must be looked up in the table, and would rather read a million jobs to count the queue.
SELECT set_config('enable_seqscan', 'off', true)
