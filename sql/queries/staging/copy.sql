-- Text format, like copy_contacts; the source is the same for all rows and comes with the merge.
COPY pg_temp.dataflow_staged (id, name, email) FROM STDIN
