-- For the reason of a refusal.
SELECT state, object_deleted_at IS NOT NULL AS is_forgotten, digests <> '[]' AS is_complete
FROM jobs WHERE id = %(id)s
