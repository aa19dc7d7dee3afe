-- For `dataflow demo`: what is really there, whatever the job says.
SELECT count(*) FROM contacts
