-- Jobs whose file is kept and holds some of these contacts: an import of the same content has made them. Begins with
-- the files that are kept, as these are few.
SELECT DISTINCT kept.id
FROM jobs kept
JOIN jobs j ON j.id = kept.id OR j.content_sha256 = kept.content_sha256
JOIN unnest(%(contact_ids)s::uuid[]) contact_id ON contact_id BETWEEN j.first_contact_id AND j.last_contact_id
WHERE kept.object_key IS NOT NULL AND kept.object_deleted_at IS NULL
  AND (kept.finished_at IS NULL OR (kept.object_key IS NOT NULL AND kept.object_deleted_at IS NULL))
  AND j.kind = 'import' AND j.first_contact_id IS NOT NULL
