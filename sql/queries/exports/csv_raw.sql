-- Cells as they are.
COPY (SELECT {fields} FROM ({contacts}) c) TO STDOUT (FORMAT csv, ENCODING 'UTF8')
