-- Those that have to be removed, each round again until they are surely over. In pages, as jobs/leftovers.sql.
SELECT object_key, upload_url
FROM unfinished_objects
WHERE ended_at IS NOT NULL AND database_id = (SELECT dataflow_database_id())
  AND (%(after)s::text IS NULL OR object_key > %(after)s::text)
ORDER BY object_key
LIMIT %(limit)s
