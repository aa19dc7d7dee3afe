-- Exports whose file is kept, or is being made or may be, and which ask for some of these contacts: told by what they
-- ask for, as their files are not read. One that keeps the newest only may have left a contact out; one that began after
-- it was erased has. By the index of the kinds of which there are few.
SELECT DISTINCT j.id
FROM jobs j
CROSS JOIN unnest(%(contact_ids)s::uuid[], %(contact_sources)s::text[], %(contact_times)s::timestamp[])
    AS c (id, source, imported_at)
WHERE j.kind = 'export' AND j.kind <> 'import'
  AND (j.state = 'running' OR (j.object_key IS NOT NULL AND j.object_deleted_at IS NULL))
  AND (j.options -> 'sources' = 'null' OR j.options -> 'sources' ? c.source)
  AND (j.options ->> 'email' IS NULL OR lower(j.options ->> 'email') = lower(%(email)s))
  AND (j.options ->> 'firstContactId' IS NULL
       OR c.id BETWEEN (j.options ->> 'firstContactId')::uuid AND (j.options ->> 'lastContactId')::uuid)
  AND (j.options ->> 'importedAfter' IS NULL OR c.imported_at >= (j.options ->> 'importedAfter')::timestamptz)
  AND (j.options ->> 'importedBefore' IS NULL OR c.imported_at < (j.options ->> 'importedBefore')::timestamptz)
  AND j.options ->> 'limit' IS DISTINCT FROM '0'
