-- Asked once for each connection, so that not every claim has to.
SELECT dataflow_database_id() AS database_id
