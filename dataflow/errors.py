"""Every error that DataFlow raises on purpose, in one tree.

Callers branch on the class, HTTP answers with `status` and `code`, the worker retries when `retryable`.
Messages may reach a client or the jobs table: they name the thing, the limit and the value, and never carry
SQL, a key or somebody else's row. Vendor exceptions are wrapped once, in the adapter that meets them.

    DataFlowError
    |-- ConfigError, SpoolUnavailable
    |-- RequestError      InvalidRequest, UnsupportedMediaType, UnsupportedEncoding, NotAcceptable, TooManyUploads,
    |                     UploadStalled, UploadDisplaced, UploadCut, ClientVanished, ForeignHost, ForeignOrigin
    |-- InputError        MalformedInput, RowTooLarge, ExpandsTooFar, TakesTooLong, MissingColumns, AmbiguousColumns,
    |                     SheetNotFound, NoContacts, InvalidContacts, TooManyRejects
    |-- StorageError      StorageUnavailable, StorageDenied, BucketMissing, ObjectMissing, ObjectTooLarge, UploadLost,
    |                     DigestMismatch
    |-- DatabaseError     DatabaseUnavailable (TooManyConnections), DatabaseOutdated, StatementCancelled, ContactsMoved,
    |                     MigrationFailed
    `-- JobError          JobNotFound, JobFinished, JobUnfinished, JobHeld, NotRevertible, ObjectForgotten, RejectsGone,
                          UploadTaken, LeaseLost, ImportStalled, ImportStopped, DatabaseCopied, UnknownKind
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing wrong with a request, where it is and what to do about it."""

    path: tuple[str | int, ...]  #: from `data` down, rows counted from 0: ("data", 0, "email")
    message: str

    def as_json(self) -> dict[str, object]:
        return {"path": list(self.path), "message": self.message}


class DataFlowError(Exception):
    """The root. `issues` holds at most the first 100, `issue_count` counts all of them."""

    code = "internal_error"
    status = 500
    retryable = False

    def __init__(self, message: str, issues: Sequence[Issue] = (), issue_count: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.issues = tuple(issues)
        self.issue_count = len(self.issues) if issue_count is None else issue_count


class ConfigError(DataFlowError):
    """The environment does not describe a service that can run; the message lists every problem."""

    code = "config_error"


class RequestError(DataFlowError):
    """The request cannot be served as it was sent."""

    code = "invalid_request"
    status = 400


class InvalidRequest(RequestError):
    """A parameter, header or form field is missing, unknown or wrong."""


class UnsupportedMediaType(RequestError):
    """The Content-Type is missing or names nothing that can be imported."""

    code = "unsupported_media_type"
    status = 415


class NotAcceptable(RequestError):
    """Accept allows none of the media types that there are."""

    code = "not_acceptable"
    status = 406


class UnsupportedEncoding(UnsupportedMediaType):
    """The Content-Encoding is one that cannot be undone; the answer names `accepted` (RFC 9110 section 15.5.16)."""

    accepted = "gzip"


class TooManyUploads(RequestError):
    """This process has no room for a further body or rejects file; `retry_after_seconds` says when to come back."""

    code = "too_many_uploads"
    status = 503
    retryable = True
    retry_after_seconds = 5


class UploadStalled(RequestError):
    """The client sent nothing, or too little, for UPLOAD_STALL_SECONDS."""

    code = "upload_stalled"
    status = 408
    retryable = True


class UploadDisplaced(RequestError):
    """The client is slow, if not too slow, and there was no room left for others."""

    code = "upload_displaced"
    status = 408
    retryable = True


class UploadCut(RequestError):
    """The web process is stopping, and SHUTDOWN_GRACE_SECONDS are over."""

    code = "upload_cut"
    status = 503
    retryable = True


class ClientVanished(RequestError):
    """The body ended before its declared length, last chunk or closing boundary, or its sender has hung up."""

    code = "incomplete_body"


class ForeignHost(RequestError):
    """The service is this machine's own, and was asked under a name that is not."""

    code = "foreign_host"
    status = 403


class ForeignOrigin(RequestError):
    """A web page of another origin has sent the request, and CORS_ORIGINS does not name it."""

    code = "foreign_origin"
    status = 403


class InputError(DataFlowError):
    """The content itself cannot be imported; sending it again changes nothing."""

    code = "malformed_input"
    status = 400


class MalformedInput(InputError):
    """The bytes are not what their format promises."""


class RowTooLarge(InputError):
    """One row is larger than MAX_ROW_BYTES."""

    code = "row_too_large"


class ExpandsTooFar(InputError):
    """A compressed file holds more than it may."""

    code = "expands_too_far"


class TakesTooLong(InputError):
    """Reading a file goes on and on without a further row."""

    code = "takes_too_long"


class SheetNotFound(InputError):
    """The workbook has no sheet, or several, of the name or number that is asked for; or the file is no workbook."""

    code = "sheet_not_found"


class MissingColumns(InputError):
    """No column of the file is, or could be taken for, the name or the e-mail."""

    code = "missing_columns"


class AmbiguousColumns(InputError):
    """Several columns could be the same field, or contacts stand above what looks like the header row."""

    code = "ambiguous_columns"


class NoContacts(InputError):
    """Not a single contact in the input."""

    code = "no_contacts"


class InvalidContacts(InputError):
    """At least one contact breaks the rules where all of them must hold."""

    code = "invalid_contacts"


class TooManyRejects(InputError):
    """More rows are refused than `maxRejects` allows; nothing is imported."""

    code = "too_many_rejects"


class SpoolUnavailable(DataFlowError):
    """The worker cannot keep refused rows on its disk until their job is settled."""

    code = "spool_unavailable"
    status = 503
    retryable = True


class StorageError(DataFlowError):
    """The object storage did not do its part."""

    code = "storage_error"
    status = 503


class StorageUnavailable(StorageError):
    """The storage cannot be reached, read or written just now."""

    code = "storage_unavailable"
    retryable = True


class StorageDenied(StorageError):
    """The storage does not accept our key, or does not allow it what we need."""

    code = "storage_denied"


class BucketMissing(StorageError):
    """The storage has no bucket of the name in STORAGE_BUCKET."""

    code = "bucket_missing"


class ObjectTooLarge(StorageError):
    """The storage does not take objects of this size; the message names its limit."""

    code = "object_too_large"
    status = 413


class UploadLost(StorageError):
    """The storage has lost bytes that it had acknowledged: only the client still has them."""

    code = "upload_lost"
    retryable = True


class ObjectMissing(StorageError):
    """The object is not (or no longer) in the storage."""

    code = "object_missing"


class DigestMismatch(StorageError):
    """The bytes read back are not the bytes that were received."""

    code = "digest_mismatch"
    retryable = True


class DatabaseError(DataFlowError):
    """The database refused a statement."""

    code = "database_error"
    status = 503


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, or gave up for a passing reason."""

    code = "database_unavailable"
    retryable = True


class TooManyConnections(DatabaseUnavailable):
    """The server, a pooler or a node of a distributed database has no connection left for us (SQLSTATE 53300)."""

    code = "too_many_connections"


class DatabaseOutdated(DatabaseError):
    """The server is too old, or its schema is: somebody has to see to that."""

    code = "database_outdated"
    retryable = True


class StatementCancelled(DatabaseError):
    """Somebody has cancelled the statement in the server (SQLSTATE 57014): a wish, not a fault to be retried."""

    code = "statement_cancelled"


class ContactsMoved(DatabaseError):
    """A trigger of the table contacts has changed the ids of new ones: the import could not be reverted."""

    code = "contacts_moved"


class MigrationFailed(DatabaseError):
    """The schema found is not one that can be brought up to date; the message names the difference."""

    code = "migration_failed"


class JobError(DataFlowError):
    """A job is not in the state that the caller needs."""

    code = "job_conflict"
    status = 409


class JobNotFound(JobError):
    """No job has this id."""

    code = "job_not_found"
    status = 404


class JobFinished(JobError):
    """The job has ended, and the request needs one that has not."""

    code = "job_finished"


class JobUnfinished(JobError):
    """The job has not ended, and the request needs one that has."""

    code = "job_unfinished"


class JobHeld(JobError):
    """The job was made in another database, which may need its file: see `dataflow adopt`."""

    code = "job_held"


class NotRevertible(JobError):
    """There is nothing to undo: the job is no import, was a dry run, or has not succeeded."""

    code = "not_revertible"


class ObjectForgotten(JobError):
    """The job's file is not kept any more, so it cannot be tried again."""

    code = "object_forgotten"


class RejectsGone(JobError):
    """The job has refused rows that are not kept any more, or never were."""

    code = "rejects_gone"
    status = 410


class UploadTaken(JobError):
    """The job was cancelled, swept or deleted while its body was still arriving."""

    code = "upload_cancelled"


class LeaseLost(JobError):
    """Another worker owns the job now, or it was cancelled: nothing of this attempt may be kept."""

    code = "lease_lost"


class ImportStalled(JobError):
    """The import has not moved for IMPORT_STALL_SECONDS, whatever it waits for."""

    code = "import_stalled"
    retryable = True


class ImportStopped(JobError):
    """This worker is shutting down: roll back and hand the job on without charging a failure."""

    code = "worker_stopping"
    retryable = True


class DatabaseCopied(JobError):
    """The job came with a copy of the database, and is its original's."""

    code = "database_copied"


class UnknownKind(JobError):
    """The job is of a kind that this release of the worker cannot do."""

    code = "unknown_kind"
