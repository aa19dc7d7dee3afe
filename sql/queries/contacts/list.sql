-- Newest first, as the ids of imports ascend; the last id of a page is the cursor of the next. Times are UTC whichever
-- type the column has; what no calendar of ours has (infinity, a time before the year 1) is shown as none.
-- Walking the primary key finds a page at once, if contacts that are asked for are frequent where the walk begins; and
-- the planner always expects that. Another order keeps it from there where it is wrong: of addresses it may have no
-- statistics, and what was imported before a time lies behind all that is newer, but for pages behind the first, which
-- begin in the midst of it. (`greatest` is the id that the planner does not know for one.) With ids from
-- contacts/list_of_sources.sql there is no other filter.
SELECT id, name, email, source,
       CASE WHEN imported_at >= '0001-01-02' AND imported_at < '9999-12-31' THEN imported_at::timestamptz END
           AS imported_at
FROM contacts
WHERE (%(email)s::text IS NULL OR lower(email) = ANY (ARRAY[lower(%(email)s::text)]))
  AND (%(sources)s::text[] IS NULL OR source = ANY (%(sources)s::text[]))
  AND (%(imported_after)s::timestamptz IS NULL OR imported_at >= %(imported_after)s::timestamptz)
  AND (%(imported_before)s::timestamptz IS NULL OR imported_at < %(imported_before)s::timestamptz)
  AND (%(first_id)s::uuid IS NULL OR id >= %(first_id)s::uuid)
  AND (%(last_id)s::uuid IS NULL OR id <= %(last_id)s::uuid)
  AND (%(cursor)s::uuid IS NULL OR id < %(cursor)s::uuid)
  AND (%(ids)s::uuid[] IS NULL OR id = ANY (%(ids)s::uuid[]))
ORDER BY CASE WHEN %(email)s::text IS NOT NULL THEN lower(email) END DESC,
         CASE WHEN %(imported_before)s::timestamptz IS NOT NULL AND %(cursor)s::uuid IS NULL
              THEN greatest(id, NULL::uuid) END DESC,
         id DESC
LIMIT %(limit)s
