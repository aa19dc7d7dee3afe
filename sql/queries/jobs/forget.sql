-- What a finished job keeps of people, and errors that may quote a header row, the server or a trigger. The refused
-- rows and the file are removed next; from here on the job cannot be queued again, nor its file fetched, whatever
-- becomes of that. The file of a held job stays, as it may be needed elsewhere. An export of one person can be tried
-- again without a file: it finds nobody then, and not everybody.
UPDATE jobs
SET digests = '[]', issues = '[]', file_name = NULL,
    kept_until = CASE WHEN kept_until > clock_timestamp() THEN clock_timestamp() ELSE kept_until END,
    upload_metadata = NULL, content_sha256 = NULL, idempotency_key = NULL,
    options = jsonb_set(options, '{email}', '""', false),
    detected = detected - ARRAY['columns', 'ignoredColumns', 'mapping'],
    error = CASE WHEN split_part(error, ':', 1) IN ('missing_columns', 'ambiguous_columns', 'database_error',
                                                    'database_unavailable', 'statement_cancelled')
                 THEN split_part(error, ':', 1) ELSE split_part(error, ' Its refused rows could not be kept', 1) END
WHERE id = %(id)s AND finished_at IS NOT NULL
RETURNING CASE WHEN object_deleted_at IS NULL AND database_id = (SELECT dataflow_database_id())
               THEN object_key END AS object_key, upload_url,
          bytes_total IS NOT NULL AS is_complete
