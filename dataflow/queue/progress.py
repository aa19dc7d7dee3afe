"""What an attempt at a job has counted. What a kind of job counts or finds out beside that is its own."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from dataflow.errors import Issue


@dataclass(slots=True)
class Progress:
    """The counts of the jobs table so far. Written by the thread of the job, read by the heartbeat.

    When an import has ended, rows_read is the sum of the next five.
    """

    rows_read: int = 0
    rows_imported: int = 0  #: copied so far, while it runs
    rows_updated: int = 0
    rows_skipped: int = 0
    rows_rejected: int = 0
    rows_not_imported: int = 0  #: valid, and of a dry run
    bytes_done: int = 0  #: bytes of the object read
    issues: list[Issue] = field(default_factory=list)
    first_contact_id: UUID | None = None
    last_contact_id: UUID | None = None

    @property
    def position(self) -> tuple[int, ...]:
        """What grows while the job moves."""
        return (self.bytes_done, self.rows_read, self.rows_imported, self.rows_rejected)

    def detected(self) -> dict[str, Any]:
        """What was found out about the object, for the job."""
        return {}
