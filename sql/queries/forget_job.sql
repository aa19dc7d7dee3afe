-- What a finished job keeps of people, also what may be quoted of a first row that was no header. Its refused rows and its
-- file are removed next; from here on the job cannot be queued again, whatever becomes of that.
UPDATE jobs
SET digests = '[]', issues = '[]', file_name = NULL,
    detected = detected - ARRAY['columns', 'ignoredColumns', 'mapping'],
    error = CASE WHEN split_part(error, ':', 1) IN ('missing_columns', 'ambiguous_columns')
                 THEN split_part(error, ':', 1) ELSE error END
WHERE id = %(id)s AND finished_at IS NOT NULL
RETURNING CASE WHEN object_deleted_at IS NULL THEN object_key END AS object_key, upload_url,
          bytes_total IS NOT NULL AS is_complete
