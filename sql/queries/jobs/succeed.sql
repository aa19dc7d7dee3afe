-- The last statement of the transaction that wrote the contacts: both commit, or neither. Fenced by the attempt. The
-- SHA-256 of a content that came in several requests is known only now.
UPDATE jobs
SET state = 'succeeded', rows_read = %(rows_read)s, rows_imported = %(rows_imported)s, rows_updated = %(rows_updated)s,
    rows_skipped = %(rows_skipped)s, rows_rejected = %(rows_rejected)s, rows_not_imported = %(rows_not_imported)s,
    bytes_done = %(bytes_done)s, issues = %(issues)s, detected = detected || %(detected)s,
    content_sha256 = coalesce(content_sha256, %(content_sha256)s),
    duplicate_of = CASE WHEN content_sha256 IS NULL
                        THEN dataflow_duplicate_of(id, %(content_sha256)s, source) ELSE duplicate_of END,
    first_contact_id = %(first_contact_id)s, last_contact_id = %(last_contact_id)s
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'
RETURNING id
