-- Text format. The ids come from the worker in order, which keeps inserts on the last page of the primary key.
COPY contacts (id, name, email, source) FROM STDIN
