"""Jobs, put in as `receive` does but without web: the drills are about what happens to them afterwards."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from dataflow.db import Connection
from dataflow.ids import uuid7
from dataflow.queue import uploads
from dataflow.storage.base import Storage
from tests.drills.holds import MARK
from tests.support.objects import store


@dataclass(slots=True, eq=False)
class Sent:
    """A job that was put in, and how it has to end."""

    id: UUID
    source: str
    emails: Sequence[str]
    ends: str = "succeeded"

    @property
    def imported(self) -> Sequence[str]:
        """The addresses that have to be in `contacts` in the end."""
        return self.emails if self.ends == "succeeded" else ()


def make(number: int, rows: int) -> Sent:
    """What can be told from all others, by every row of it."""
    return Sent(uuid7(), f"drill {number}", [f"{row}@drill{number}.example" for row in range(rows)])


def names(rows: int, is_marked: bool) -> list[str]:
    """The names of so many contacts, with a mark on the one in the middle."""
    return [MARK if is_marked and row == rows // 2 else "Name" for row in range(rows)]


def content(sent: Sent, names: Sequence[str] | None = None) -> bytes:
    """The file, as CSV."""
    names = names or ["Name"] * len(sent.emails)
    lines = [f"{name},{email}\n" for name, email in zip(names, sent.emails, strict=True)]
    return "".join(["name,email\n", *lines]).encode()


def queue(connection: Connection, storage: Storage, sent: Sent, names: Sequence[str]) -> None:
    """Store the file and make its import due."""
    key = f"{sent.id}.csv"
    known = {"source": sent.source, "file_name": None, "content_type": "text/csv", "options": {"onInvalid": "skip"}}
    uploads.insert(connection, {"id": sent.id, "object_key": key, "request_id": None, "created_by": None, **known})
    file = content(sent, names)
    stored = store(storage, key, [file])
    digests = [[len(file), hashlib.sha256(file).hexdigest()]]
    found = {"object_etag": stored.etag, "bytes_total": len(file), "digests": digests, "format": "csv"}
    uploads.queue(connection, sent.id, {**known, **found})
