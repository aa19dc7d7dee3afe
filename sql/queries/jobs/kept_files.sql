-- The kept files of these jobs, those that are being made, and those that have the same content, as far as the sources
-- allow.
SELECT j.id, j.finished_at, j.bytes_total IS NOT NULL AS is_complete
FROM jobs j
WHERE j.id = ANY (ARRAY(
        SELECT unnest(%(ids)s::uuid[])
        UNION ALL
        SELECT same.id FROM jobs known JOIN jobs same ON same.content_sha256 = known.content_sha256
        WHERE known.id = ANY (%(ids)s::uuid[])))
  AND ((j.object_key IS NOT NULL AND j.object_deleted_at IS NULL)
       OR (j.finished_at IS NULL AND EXISTS (SELECT FROM unfinished_objects u WHERE u.job_id = j.id)))
  AND dataflow_is_visible(j.source, j.created_by, j.options, %(sources)s::text[], %(created_by)s::text)
ORDER BY j.id
