"""What an attempt at a job has counted, as far as the jobs table shows it; a kind of job adds what is its own."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from dataflow.errors import Issue


@dataclass(slots=True)
class Progress:
    """Written by the thread of the job, read by the heartbeat."""

    rows_read: int = 0  #: when the job has succeeded, the sum of the next five
    rows_imported: int = 0  #: copied so far, while it runs
    rows_updated: int = 0
    rows_skipped: int = 0
    rows_rejected: int = 0
    rows_not_imported: int = 0  #: valid, and of a dry run
    rows_exported: int = 0  #: written so far, of an export
    bytes_done: int = 0  #: bytes of the object read, or stored
    issues: list[Issue] = field(default_factory=list)
    content_sha256: str | None = None  #: of the object, if it was not known before
    first_contact_id: UUID | None = None
    last_contact_id: UUID | None = None

    @property
    def position(self) -> tuple[int, ...]:
        return (self.bytes_done, self.rows_read, self.rows_imported, self.rows_rejected, self.rows_exported)

    def detected(self) -> dict[str, Any]:
        return {}
