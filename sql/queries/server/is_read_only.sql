-- A standby, or a server whose provider has closed it to changes because its disk is full, answers but takes no job.
SELECT current_setting('transaction_read_only')::boolean AS is_read_only
