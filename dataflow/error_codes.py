"""The codes of errors: what HTTP answers, metrics and jobs show, its status, and whether another attempt may help."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    """What all errors of one code have in common."""

    status: int
    meaning: str
    retryable: bool = False


CODES: Final = {
    "internal_error": Code(500, "A fault of the program."),
    "config_error": Code(500, "The environment does not describe a service that can run; every problem is listed."),
    # Of requests.
    "invalid_request": Code(400, "A parameter, header, form field or the body is missing, unknown or wrong."),
    "incomplete_body": Code(400, "The body ended before its declared length, last chunk or closing boundary."),
    "unauthorized": Code(401, "The key or the token is missing, wrong or not valid any more."),
    "token_expired": Code(401, "The token was valid until its expiresAt."),
    "forbidden": Code(403, "The key or the token is good, but not for this."),
    "foreign_host": Code(403, "The service is this machine's own, and was asked under a name that is not."),
    "foreign_origin": Code(403, "A web page of another origin sent the request, and CORS_ORIGINS does not name it."),
    "idempotency_key_reused": Code(422, "The Idempotency-Key was sent before, with another body or other options."),
    "idempotency_key_in_use": Code(409, "A request with this Idempotency-Key is under way.", retryable=True),
    "not_acceptable": Code(406, "Accept allows none of the media types that there are."),
    "upload_too_large": Code(413, "The body is larger than MAX_UPLOAD_BYTES, its token or its Upload-Length allows."),
    "rate_limited": Code(429, "More than RATE_LIMIT requests came from the caller within a minute.", retryable=True),
    "upload_stalled": Code(408, "The client sent nothing, or too little, for UPLOAD_STALL_SECONDS.", retryable=True),
    "upload_displaced": Code(408, "The client was slow, and its place was needed for others.", retryable=True),
    "unsupported_media_type": Code(415, "Content-Type or Content-Encoding names nothing that can be imported."),
    "too_many_uploads": Code(503, "The process has no room for another body or rejects file.", retryable=True),
    "too_many_exports": Code(503, "The process sends as many exports as it may.", retryable=True),
    "too_many_event_streams": Code(503, "The process has as many event streams as it may.", retryable=True),
    "export_cut": Code(503, "An export took too long, or had to end with its process.", retryable=True),
    "export_too_long": Code(503, "An export job took longer than EXPORT_SECONDS, as it would again."),
    "export_not_made": Code(409, "The export has failed or was cancelled, so that it has no file."),
    "range_not_satisfiable": Code(416, "The Range begins behind the end of the file: see Content-Range."),
    "export_expired": Code(410, "The file of the export is not kept any more: export again."),
    "upload_cut": Code(503, "The process is stopping, and SHUTDOWN_GRACE_SECONDS are over.", retryable=True),
    # Of uploads in several requests (tus).
    "tus_version": Code(412, "Tus-Resumable is missing, or names a version other than 1.0.0."),
    "upload_not_found": Code(404, "No upload has this id."),
    "upload_gone": Code(410, "The upload has expired, was ended, or is lost: begin a new one."),
    "upload_complete": Code(409, "The upload has all of its bytes: cancel its job instead."),
    "offset_conflict": Code(409, "Upload-Offset is not where the storage goes on: ask for the offset by HEAD."),
    "upload_locked": Code(423, "Another request holds the upload, or has taken it over.", retryable=True),
    "checksum_mismatch": Code(
        460, "The bytes are not those of Upload-Checksum; none of them is stored.", retryable=True
    ),
    # Of contents: the same file fails again.
    "malformed_input": Code(400, "The bytes are not what their format promises."),
    "row_too_large": Code(400, "One row is larger than MAX_ROW_BYTES."),
    "expands_too_far": Code(400, "A compressed file holds more than MAX_EXPANDED_BYTES."),
    "takes_too_long": Code(400, "Reading the file goes on without a further row."),
    "sheet_not_found": Code(400, "`sheet` names no sheet of the workbook, or several; or there is no workbook."),
    "missing_columns": Code(400, "No column of the file is, or could be taken for, the name or the e-mail."),
    "ambiguous_columns": Code(400, "Several columns could be the same field, or contacts stand above a header row."),
    "no_contacts": Code(400, "The input has not one contact."),
    "invalid_contacts": Code(400, "At least one contact breaks the rules, and all of them must hold."),
    "too_many_rejects": Code(400, "More rows are refused than `maxRejects` allows; nothing is imported."),
    # Of the storage, and of the worker's own disk.
    "storage_error": Code(503, "The object storage refused."),
    "storage_unavailable": Code(503, "The storage cannot be reached, read or written just now.", retryable=True),
    "storage_denied": Code(503, "The storage does not accept our key, or does not allow what we need."),
    "bucket_missing": Code(503, "The storage has no bucket of the name in STORAGE_BUCKET."),
    "object_missing": Code(503, "The object is not in the storage any more."),
    "object_too_large": Code(413, "The storage does not take objects of this size."),
    "upload_lost": Code(503, "The storage has lost bytes that only the client still has.", retryable=True),
    "digest_mismatch": Code(503, "The bytes read back are not the bytes that were received.", retryable=True),
    "spool_unavailable": Code(503, "The worker's disk cannot keep what a job needs until it ends.", retryable=True),
    # Of the database.
    "database_error": Code(503, "The database refused a statement."),
    "database_unavailable": Code(503, "The database is away, or gave up for a passing reason.", retryable=True),
    "too_many_connections": Code(503, "No connection is left for us (SQLSTATE 53300).", retryable=True),
    "database_outdated": Code(503, "The server, or its schema, is older than this program needs.", retryable=True),
    "search_too_slow": Code(503, "Contacts, or what is kept of them, were not found within a request's time."),
    "statement_cancelled": Code(503, "Somebody cancelled the statement in the server (SQLSTATE 57014)."),
    "contacts_moved": Code(503, "A trigger of the table contacts changed the ids of new rows."),
    "migration_failed": Code(503, "The schema found cannot be brought up to date."),
    # Of jobs that are not in the state that the caller needs.
    "job_conflict": Code(409, "The job is not in the state that the request needs."),
    "job_not_found": Code(404, "No job has this id."),
    "contact_not_found": Code(404, "No contact has this id."),
    "job_finished": Code(409, "The job has ended, and the request needs one that has not."),
    "job_unfinished": Code(409, "The job has not ended, and the request needs one that has."),
    "job_held": Code(409, "The job was made in another database, which may need its file: see `dataflow adopt`."),
    "not_revertible": Code(409, "There is nothing to undo: no import, a dry run, or no success."),
    "object_forgotten": Code(409, "The job's file is not kept any more."),
    "rejects_gone": Code(410, "The job's refused rows are not kept any more, or never were."),
    "upload_cancelled": Code(409, "The job was cancelled, swept or deleted while its body was still arriving."),
    "lease_lost": Code(409, "Another worker owns the job now, or it was cancelled: nothing of this attempt is kept."),
    "import_stalled": Code(409, "The job has not moved for IMPORT_STALL_SECONDS.", retryable=True),
    "worker_stopping": Code(409, "The worker is stopping and hands its job on without a charge.", retryable=True),
    "database_copied": Code(409, "The job came with a copy of the database and belongs to the original."),
    "unknown_kind": Code(409, "This version of the worker cannot do jobs of this kind."),
}
