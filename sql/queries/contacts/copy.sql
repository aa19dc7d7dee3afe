-- Text format; ids come from the worker in order, which keeps the primary key's inserts on its last page.
COPY contacts (id, name, email, source) FROM STDIN
