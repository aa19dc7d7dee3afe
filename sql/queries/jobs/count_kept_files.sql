-- All other files that are kept, as far as the sources allow; by the index of what can be held, which has only these.
SELECT count(*) FROM jobs j
WHERE j.id <> ALL (%(others_than)s::uuid[])
  AND j.object_key IS NOT NULL AND j.object_deleted_at IS NULL
  AND (j.finished_at IS NULL OR (j.object_key IS NOT NULL AND j.object_deleted_at IS NULL))
  AND dataflow_is_visible(j.source, j.created_by, j.options, %(sources)s::text[], %(created_by)s::text)
