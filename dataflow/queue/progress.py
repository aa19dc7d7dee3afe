"""What an attempt at a job has counted, up to its outcome. What a kind of job finds out beside that is its own."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from dataflow.errors import Issue


@dataclass(slots=True)
class Progress:
    """What an attempt has counted so far. Written by the thread of the job, read by the heartbeat.

    When an import has ended, rows_read is the sum of the next five.
    """

    rows_read: int = 0
    rows_imported: int = 0  #: copied so far, while it runs
    rows_updated: int = 0
    rows_skipped: int = 0
    rows_rejected: int = 0
    rows_not_imported: int = 0  #: valid, and of a dry run
    rows_reverted: int = 0  #: contacts that an attempt at a revert has deleted
    bytes_done: int = 0  #: bytes of the object read
    issues: list[Issue] = field(default_factory=list)
    first_contact_id: UUID | None = None
    last_contact_id: UUID | None = None

    def detected(self) -> dict[str, Any]:
        """What was found out about the object, for the job; nothing where there is none."""
        return {}
