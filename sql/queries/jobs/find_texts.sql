-- What jobs of a portion keep of their files and may hold an address in one of these spellings, and last the job with
-- which the portion ends; as in rejects/find_address.sql. A file without a header row has a person among its columns;
-- a file's name may be an address and an ending. An export may have been asked for by an address.
SELECT j.id, false AS is_end,
       ARRAY[j.file_name, regexp_replace(j.file_name, '[.][^.]*$', ''), j.error, j.detected::text, j.issues::text,
             j.options ->> 'email'] AS texts
FROM (SELECT * FROM jobs WHERE id > %(after)s::uuid ORDER BY id LIMIT %(limit)s) j
WHERE dataflow_is_visible(j.source, j.created_by, j.options, %(sources)s::text[], %(created_by)s::text)
  AND EXISTS (SELECT FROM unnest(%(spellings)s::text[]) spelling
              WHERE strpos(lower(concat_ws(E'\n', j.file_name, j.error, j.detected::text, j.issues::text,
                                           j.options ->> 'email')),
                           lower(spelling)) > 0)
UNION ALL
(SELECT id, true, NULL
 FROM (SELECT id FROM jobs WHERE id > %(after)s::uuid ORDER BY id LIMIT %(limit)s) portion
 ORDER BY id DESC
 LIMIT 1)
