-- What jobs of a portion keep of their files and may hold an address in one of these spellings: a file without a header
-- row has one of a person among its columns.
SELECT j.id, ARRAY[j.file_name, j.error, j.detected::text, j.issues::text] AS texts
FROM jobs j
WHERE j.id > %(after)s::uuid AND j.id <= %(end)s::uuid
  AND (%(sources)s::text[] IS NULL OR j.source = ANY (%(sources)s::text[])
       OR (j.source IS NULL AND j.created_by = %(created_by)s::text))
  AND EXISTS (SELECT FROM unnest(%(spellings)s::text[]) spelling
              WHERE strpos(lower(concat_ws(E'\n', j.file_name, j.error, j.detected::text, j.issues::text)),
                           lower(spelling)) > 0)
