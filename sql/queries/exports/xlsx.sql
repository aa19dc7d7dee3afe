-- The text format, whose lines are whole rows: what would end one is escaped.
COPY (SELECT {fields} FROM ({contacts}) c) TO STDOUT (FORMAT text, ENCODING 'UTF8')
