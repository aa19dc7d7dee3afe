-- Text format, like contacts/copy.sql; the source is the same for all rows and comes with the merge.
COPY pg_temp.dataflow_staged (id, name, email) FROM STDIN
