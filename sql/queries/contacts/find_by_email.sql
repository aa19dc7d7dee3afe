-- A portion of the contacts with an address, which plain imports may have made many.
SELECT id, source, imported_at FROM contacts
WHERE lower(email) = ANY (ARRAY[lower(%(email)s::text)])
  AND (%(sources)s::text[] IS NULL OR source = ANY (%(sources)s::text[]))
LIMIT %(limit)s
