-- A card a line, with U+0003 between its own lines, which no value holds: what has control characters is quoted. N is
-- required by version 3.0, the newest that all programs read; we do not know which part of a name is the last. OFFSET
-- keeps the patterns from being asked twice for each value.
COPY (
    SELECT concat_ws(E'\x03', 'BEGIN:VCARD', 'VERSION:3.0', 'UID:urn:uuid:' || id, 'FN' || {name}, 'N' || {parts},
                     'EMAIL' || {email}, 'CATEGORIES' || {source},
                     'REV:' || to_char(imported_at, 'YYYYMMDD"T"HH24MISS"Z"'), 'END:VCARD')
    FROM (
        SELECT id, name, ';' || name || ';;;' AS parts, email, source, imported_at
        FROM (
            SELECT id, imported_at,
                   replace(regexp_replace(name, '([\\,;])', '\\\1', 'g'), E'\n', '\n') AS name,
                   replace(regexp_replace(email, '([\\,;])', '\\\1', 'g'), E'\n', '\n') AS email,
                   replace(regexp_replace(source, '([\\,;])', '\\\1', 'g'), E'\n', '\n') AS source
            FROM ({contacts}) c
            OFFSET 0
        ) escaped
    ) properties
) TO STDOUT (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', ENCODING 'UTF8')
