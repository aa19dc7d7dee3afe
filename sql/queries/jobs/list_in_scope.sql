-- A page of the jobs of some sources, or of one creator, as ids for jobs/list.sql: the newest of each source are walked
-- to by its index and merged. Ordered as jobs/list.sql is, for the same reason. Uploads that have not said their source
-- yet, and those that have ended before they did, are few: they are found by that, not by a creator who may have many.
SELECT id
FROM (
    SELECT of_source.id
    FROM unnest(%(sources)s::text[]) AS wanted (source)
    CROSS JOIN LATERAL (
        SELECT id FROM jobs
        WHERE source = ANY (ARRAY[wanted.source]) AND (%(state)s::text IS NULL OR state = %(state)s)
          AND (%(kind)s::text IS NULL OR kind = %(kind)s) AND (%(cursor)s::uuid IS NULL OR id < %(cursor)s)
        ORDER BY source DESC, id DESC
        LIMIT %(limit)s
    ) of_source
    WHERE NOT %(is_own_only)s
    UNION ALL
    (SELECT id FROM jobs
     WHERE NOT %(is_own_only)s AND source IS NULL AND coalesce(created_by, '') = %(created_by)s::text
       AND coalesce(options -> 'sources', '[]') <@ to_jsonb(%(sources)s::text[])
       AND (%(state)s::text IS NULL OR state = %(state)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
       AND (%(cursor)s::uuid IS NULL OR id < %(cursor)s)
     ORDER BY source DESC, id DESC
     LIMIT %(limit)s)
    UNION ALL
    (SELECT id FROM jobs
     WHERE %(is_own_only)s AND created_by = ANY (ARRAY[%(created_by)s::text])
       AND (%(state)s::text IS NULL OR state = %(state)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
       AND (%(cursor)s::uuid IS NULL OR id < %(cursor)s)
     ORDER BY created_by DESC, id DESC
     LIMIT %(limit)s)
) found
ORDER BY id DESC
LIMIT %(limit)s
