-- What an export asks for, within its COPY, which takes no parameters: values come as literals, and what is NULL is
-- folded away before anything is planned. A limit means the newest, and only then does the order cost anything.
SELECT id, name, email, source, imported_at
FROM contacts
WHERE (%(sources)s::text[] IS NULL OR source = ANY (%(sources)s::text[]))
  AND (%(email)s::text IS NULL OR lower(email) = lower(%(email)s::text))
  AND (%(first_id)s::uuid IS NULL OR id >= %(first_id)s::uuid)
  AND (%(last_id)s::uuid IS NULL OR id <= %(last_id)s::uuid)
  AND (%(imported_after)s::timestamptz IS NULL OR imported_at >= %(imported_after)s::timestamptz)
  AND (%(imported_before)s::timestamptz IS NULL OR imported_at < %(imported_before)s::timestamptz)
ORDER BY CASE WHEN %(limit)s::bigint IS NOT NULL THEN id END DESC
LIMIT %(limit)s::bigint
