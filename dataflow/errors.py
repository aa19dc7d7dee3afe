"""Every error that DataFlow raises on purpose: one tree of classes.

Callers branch on the class. HTTP answers, metrics and jobs show the code (see `error_codes`). An error on which nobody
branches has a code of its own and the class of its parent.

Messages may reach a client or the jobs table: they name the thing, the limit and the value, and never carry SQL, a key
or somebody else's row. Vendor exceptions are wrapped once, in the adapter that meets them.

    DataFlowError
    |-- ConfigError
    |-- RequestError      UnsupportedMediaType (UnsupportedEncoding), Unauthorized, Forbidden, TooManyUploads,
    |                     RateLimited, RangeNotSatisfiable, KeyTaken, UploadGone, UploadLocked
    |-- InputError        MalformedInput, RowTooLarge, ExpandsTooFar, MissingColumns, AmbiguousColumns, NoContacts,
    |                     InvalidContacts
    |-- StorageError      StorageUnavailable, StorageDenied, BucketMissing, ObjectMissing, ObjectTooLarge, UploadLost
    |-- DatabaseError     DatabaseUnavailable (TooManyConnections), StatementCancelled
    `-- JobError          UploadTaken, LeaseLost, WorkerStopping, FileUnfinished
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dataflow.error_codes import CODES


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

    def __init__(
        self, message: str, issues: Sequence[Issue] = (), issue_count: int | None = None, *, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.issues = tuple(issues)
        self.issue_count = len(self.issues) if issue_count is None else issue_count
        self.code = code or self.code

    @property
    def status(self) -> int:
        """The status of an HTTP answer."""
        return CODES[self.code].status

    @property
    def retryable(self) -> bool:
        """Whether the same may succeed later."""
        return CODES[self.code].retryable

    @property
    def headers(self) -> dict[str, str]:
        """What the HTTP answer says beside, for clients that do not read its body."""
        return {}


class ConfigError(DataFlowError):
    code = "config_error"


class RequestError(DataFlowError):
    code = "invalid_request"


class UnsupportedMediaType(RequestError):
    code = "unsupported_media_type"


class UnsupportedEncoding(UnsupportedMediaType):
    """The answer names the Content-Encoding that is known (RFC 9110 section 15.5.16)."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Accept-Encoding": "gzip"}


class Unauthorized(RequestError):
    """The answer says how to authenticate (RFC 9110 section 11.6.1)."""

    code = "unauthorized"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="DataFlow"'}


class Forbidden(RequestError):
    code = "forbidden"


class TooManyUploads(RequestError):
    code = "too_many_uploads"
    retry_after_seconds = 5


class KeyTaken(RequestError):
    code = "idempotency_key_in_use"


class RateLimited(RequestError):
    code = "rate_limited"


class RangeNotSatisfiable(RequestError):
    """The answer says how long the file is (RFC 9110 section 15.5.17)."""

    code = "range_not_satisfiable"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"The file has {size_bytes} bytes, and none of them is in that Range.")
        self.size_bytes = size_bytes

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Range": f"bytes */{self.size_bytes}"}


class InputError(DataFlowError):
    code = "malformed_input"


class MalformedInput(InputError):
    pass


class RowTooLarge(InputError):
    code = "row_too_large"


class ExpandsTooFar(InputError):
    code = "expands_too_far"


class MissingColumns(InputError):
    code = "missing_columns"


class AmbiguousColumns(InputError):
    code = "ambiguous_columns"


class NoContacts(InputError):
    code = "no_contacts"


class InvalidContacts(InputError):
    code = "invalid_contacts"


class UploadGone(RequestError):
    code = "upload_gone"


class UploadLocked(RequestError):
    code = "upload_locked"


class StorageError(DataFlowError):
    code = "storage_error"


class StorageUnavailable(StorageError):
    code = "storage_unavailable"


class StorageDenied(StorageError):
    code = "storage_denied"


class BucketMissing(StorageError):
    code = "bucket_missing"


class ObjectMissing(StorageError):
    code = "object_missing"


class ObjectTooLarge(StorageError):
    code = "object_too_large"


class UploadLost(StorageError):
    code = "upload_lost"


class DatabaseError(DataFlowError):
    code = "database_error"


class DatabaseUnavailable(DatabaseError):
    code = "database_unavailable"


class TooManyConnections(DatabaseUnavailable):
    code = "too_many_connections"


class StatementCancelled(DatabaseError):
    code = "statement_cancelled"


class JobError(DataFlowError):
    code = "job_conflict"


class UploadTaken(JobError):
    code = "upload_cancelled"


class LeaseLost(JobError):
    code = "lease_lost"


class WorkerStopping(JobError):
    code = "worker_stopping"


class FileUnfinished(JobError):
    """The answer says when to ask again, although the same request is no mistake that waiting repairs elsewhere."""

    code = "job_unfinished"

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "2"}
