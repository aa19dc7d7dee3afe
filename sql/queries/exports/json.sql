-- An object a line. The format text would double each backslash; JSON has neither of these signs, so that nothing is
-- quoted. Times say that they are in UTC, which a browser would else take for its own.
COPY (
    SELECT row_to_json(r)
    FROM (
        SELECT {fields}
        FROM (SELECT id, name, email, source, imported_at::timestamptz AS imported_at FROM ({contacts}) c) timed
    ) r
) TO STDOUT (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', ENCODING 'UTF8')
