-- A standby, or a server that its provider has closed to changes because its disk is full, answers but takes no job.
SELECT current_setting('transaction_read_only')::boolean AS is_read_only
