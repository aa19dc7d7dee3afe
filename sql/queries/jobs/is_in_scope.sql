-- Whether a job is one of those that the holder of a key or a token may know of. What undoes an import belongs to
-- whoever has sent that, too. A job keeps its source and its creator, so that whoever asks may act on the answer.
SELECT FROM jobs j
WHERE j.id = %(id)s
  AND CASE WHEN %(is_own_only)s
      THEN %(created_by)s::text IN (j.created_by, (SELECT o.created_by FROM jobs o WHERE o.id = j.of_job))
      ELSE dataflow_is_visible(j.source, j.created_by, j.options, %(sources)s::text[], %(created_by)s::text) END
