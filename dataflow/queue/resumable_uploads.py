"""The rows of uploads that come in several requests (tus), one of which holds the upload at a time.

`worker` names the request that holds it; whoever asks for it makes `attempt` grow, which tells the holder to let go.
What a holder writes down is guarded by its name: UploadTaken when it holds the upload no longer. Every function is one
statement, or two, of the transaction that is open, or else by itself.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from dataflow.db import Connection, query
from dataflow.errors import UploadTaken
from dataflow.queue.scope import ALL, Scope

Digests = list[list[Any]]  #: [[end_offset, sha256 in hex, or None where nobody hashed], ...]


@dataclass(slots=True)
class UploadRow:
    id: UUID
    state: str
    object_key: str
    address: str | None  #: in the storage; None once it is an object
    content_type: str | None
    file_name: str | None
    source: str
    options: dict[str, Any]
    request_id: str | None
    format: str | None  #: once enough of the content has come
    attempt: int
    worker: str | None
    digests: Digests
    bytes_done: int  #: acknowledged by the storage when the row was written
    bytes_total: int | None  #: once all bytes are there
    length: int | None  #: declared by the client
    metadata: str | None
    expires_at: datetime
    is_expired: bool
    error: str | None


_FIELDS = [each.name for each in fields(UploadRow)]


def insert(connection: Connection, values: dict[str, Any]) -> UploadRow:
    connection.execute(query("uploads/insert"), {**values, "options": Jsonb(values["options"])})
    found = find(connection, values["id"], ALL)
    assert found is not None  # noqa: S101 - inserted in the same transaction
    return found


def find(connection: Connection, job_id: UUID, scope: Scope) -> UploadRow | None:
    return _row(connection, "uploads/find", {"id": job_id, **scope.as_values()})


def take(connection: Connection, job_id: UUID, holder: str, silent_seconds: float, scope: Scope) -> UploadRow | None:
    """None when it is not open, or not in `scope`; it is held if the row's worker is `holder`."""
    return _row(
        connection,
        "uploads/take",
        {"id": job_id, "holder": holder, "silent_seconds": silent_seconds, **scope.as_values()},
    )


def take_later(connection: Connection, row: UploadRow, holder: str, silent_seconds: float) -> UploadRow | None:
    """None while it is held by another, or when a later request waits for it."""
    values = {"id": row.id, "attempt": row.attempt, "holder": holder, "silent_seconds": silent_seconds}
    return _row(connection, "uploads/take_later", values)


def beat(connection: Connection, holders: dict[UUID, str]) -> dict[UUID, int]:
    """The attempts of those uploads that are still held by `holders`."""
    values = {"ids": list(holders), "holders": list(holders.values())}
    return {row["id"]: row["attempt"] for row in connection.execute(query("uploads/beat"), values).fetchall()}


def open_at(connection: Connection, row: UploadRow, address: str, expires_at: datetime | None) -> None:
    found = _guarded(connection, "uploads/open", row, {"address": address, "expires_at": expires_at})
    row.address, row.expires_at = address, found["expires_at"]


def note(connection: Connection, row: UploadRow, is_over: bool = False) -> int:
    """Write down how far it is, and let go of it if that `is_over`; the attempt, which may be a later request's."""
    return int(_guarded(connection, "uploads/note", row, {**_progress(row), "is_over": is_over})["attempt"])


def let_go(connection: Connection, row: UploadRow) -> None:
    connection.execute(query("uploads/let_go"), {"id": row.id, "holder": row.worker})


def queue(connection: Connection, row: UploadRow, etag: str) -> None:
    _guarded(connection, "uploads/queue", row, {**_progress(row), **_content(row), "object_etag": etag})


def await_object(connection: Connection, row: UploadRow) -> None:
    _guarded(connection, "uploads/await_object", row, {**_progress(row), **_content(row)})


def end(connection: Connection, row: UploadRow, state: str, error: str) -> None:
    _guarded(connection, "uploads/end", row, {"state": state, "error": error})


def discard(connection: Connection, row: UploadRow) -> None:
    _guarded(connection, "uploads/discard", row, {})


def _progress(row: UploadRow) -> dict[str, Any]:
    return {"offset": row.bytes_done, "digests": Jsonb(row.digests), "length": row.length, "format": row.format}


def _content(row: UploadRow) -> dict[str, Any]:
    """The digest of the only append is that of the content."""
    return {"content_sha256": row.digests[0][1] if len(row.digests) == 1 else None}


def _row(connection: Connection, name: str, values: dict[str, Any]) -> UploadRow | None:
    found = connection.execute(query(name), values).fetchone()
    return UploadRow(**{name: found[name] for name in _FIELDS}) if found else None


def _guarded(connection: Connection, name: str, row: UploadRow, values: dict[str, Any]) -> dict[str, Any]:
    found = connection.execute(query(name), {"id": row.id, "holder": row.worker, **values}).fetchone()
    if found is None:
        raise UploadTaken(f"Another request has taken over the upload {row.id}, or it was cancelled.")
    return found
