"""A jobs table as it looks after years: made by the server itself, in seconds."""

from dataflow.db import Connection

#: Ascending with n, as UUIDv7 are.
_ID = """
(lpad(to_hex({base} + n), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid
"""
#: Of 50 sources: 16 of 20 succeeded, 3 failed, 1 was cancelled; the files of the newest tenth are kept. Where the
#: database is, is asked once: as a default it takes 20 us a row.
_ENDED = f"""
INSERT INTO jobs (id, state, source, file_name, rows_read, rows_imported, rows_rejected, rows_not_imported, bytes_done,
                  bytes_total, error, attempt, worker, heartbeat_at, run_at, created_at, started_at, finished_at,
                  object_key, object_deleted_at, content_type, format, digests, options, detected, issues,
                  first_contact_id, last_contact_id, request_id, database_id)
SELECT {_ID.format(base=1_700_000_000_000)},
       state, 'source-' || n %% 50, 'contacts-' || n || '.csv', 1000, CASE state WHEN 'succeeded' THEN 990 ELSE 0 END,
       10, CASE state WHEN 'succeeded' THEN 0 ELSE 990 END, 50000, 50000,
       CASE state WHEN 'failed' THEN 'too_many_rejects: 101 of the first 1000 rows are refused.' END, 1,
       'web.1.abcdef', moment, moment, moment, moment, moment + INTERVAL '2 seconds', 'key.csv',
       CASE WHEN state = 'succeeded' OR n < 0.9 * %(count)s THEN moment END, 'text/csv', 'csv',
       jsonb_build_array(jsonb_build_array(50000, repeat(md5(n::text), 2))),
       '{{"onInvalid": "skip", "onConflict": "insert"}}',
       '{{"columns": ["First Name", "Last Name", "E-mail 1 - Value", "Phone", "Notes"], "delimiter": ",",
          "ignoredColumns": ["Phone", "Notes"], "mapping": {{"name": ["First Name"], "email": "E-mail 1 - Value"}}}}',
       '[{{"path": ["data", 3, "email"], "message": "Invalid email format: An email address must have an @-sign."}}]',
       gen_random_uuid(), gen_random_uuid(), 'request-' || n, (SELECT dataflow_database_id())
FROM generate_series(1, %(count)s) n,
     LATERAL (SELECT CASE WHEN n %% 20 < 16 THEN 'succeeded' WHEN n %% 20 < 19 THEN 'failed' ELSE 'cancelled' END
                         AS state,
                     now() - INTERVAL '2 days' * (%(count)s - n) / %(count)s AS moment) ended
"""
_QUEUED = f"""
INSERT INTO jobs (id, state, source, file_name, bytes_total, run_at, created_at, object_key, content_type, format,
                  digests, options, request_id, database_id)
SELECT {_ID.format(base=1_750_000_000_000)},
       'queued', 'source-' || n %% 50, 'contacts.csv', 50000, moment, moment, 'key.csv', 'text/csv', 'csv',
       '[[50000, ""]]', '{{"onInvalid": "skip"}}', 'request', (SELECT dataflow_database_id())
FROM generate_series(1, %(count)s) n, LATERAL (SELECT now() - INTERVAL '1 day' * n / %(count)s AS moment) queued
"""


def fill(connection: Connection, ended: int, queued: int) -> None:
    """Add so many jobs that have ended, and so many newer ones that are due."""
    connection.execute(_ENDED.encode(), {"count": ended})
    connection.execute(_QUEUED.encode(), {"count": queued})
    connection.execute("VACUUM ANALYZE jobs")
