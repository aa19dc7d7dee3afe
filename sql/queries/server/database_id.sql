-- Where this connection leads: asked once, so that not each claim has to.
SELECT dataflow_database_id() AS database_id
