-- A page of the contacts of some sources, as ids for contacts/list.sql, where contacts/has_source_index.sql has found an
-- index: the newest of each source are walked to and merged. The order begins with the source and the filter is = ANY,
-- which the planner does not take for a constant: else it walks the primary key even then, hoping to meet one soon
-- (1.8 s instead of 1 ms, when they are the oldest 400,000 of 10,000,000).
SELECT id
FROM (
    SELECT of_source.id
    FROM unnest(%(sources)s::text[]) AS wanted (source)
    CROSS JOIN LATERAL (
        SELECT id FROM contacts
        WHERE source = ANY (ARRAY[wanted.source])
          AND (%(imported_after)s::timestamptz IS NULL OR imported_at >= %(imported_after)s::timestamptz)
          AND (%(imported_before)s::timestamptz IS NULL OR imported_at < %(imported_before)s::timestamptz)
          AND (%(cursor)s::uuid IS NULL OR id < %(cursor)s::uuid)
        ORDER BY source DESC, id DESC
        LIMIT %(limit)s
    ) of_source
) found
ORDER BY id DESC
LIMIT %(limit)s
