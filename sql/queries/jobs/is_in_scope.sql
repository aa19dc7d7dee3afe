-- Whether a job is one of those that the holder of a key or a token may know of. What undoes an import belongs to
-- whoever has sent that, too. An export of several sources, or of all, is for its sender as long as he may use these. A job keeps its source and its creator, so that whoever asks may act on the answer.
SELECT FROM jobs j
WHERE j.id = %(id)s
  AND CASE WHEN %(is_own_only)s
      THEN %(created_by)s::text IN (j.created_by, (SELECT o.created_by FROM jobs o WHERE o.id = j.of_job))
      ELSE %(sources)s::text[] IS NULL OR j.source = ANY (%(sources)s::text[])
           OR (j.source IS NULL AND j.created_by = %(created_by)s::text
               AND coalesce(j.options -> 'sources', '[]') <@ to_jsonb(%(sources)s::text[])) END
