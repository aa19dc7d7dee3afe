"""What an attempt at a job has counted and found out, up to its outcome."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

from dataflow.errors import Issue
from dataflow.formats.reading import Findings
from dataflow.verdicts import Refusal

#: Refused rows that are kept as issues on the job.
MAX_ISSUES = 100


@dataclass(slots=True)
class Tally:
    """What an attempt has counted and found out so far. Written by one import thread, read by the heartbeat.

    When it has ended, rows_read is the sum of the other five.
    """

    rows_read: int = 0
    rows_imported: int = 0  #: copied so far, while it runs
    rows_updated: int = 0
    rows_skipped: int = 0
    rows_rejected: int = 0
    rows_not_imported: int = 0  #: valid, and of a dry run
    rows_reverted: int = 0  #: contacts that an attempt at a revert has deleted
    bytes_done: int = 0  #: bytes of the object read
    findings: Findings = field(default_factory=Findings)
    issues: list[Issue] = field(default_factory=list)  #: the first MAX_ISSUES of the rejected rows
    issue_count: int = 0
    first_contact_id: UUID | None = None
    last_contact_id: UUID | None = None

    def reject(self, refusals: Sequence[Refusal]) -> None:
        """Count refused rows, keep their issues as long as there is room."""
        self.rows_rejected += len(refusals)
        self.issue_count += sum(len(refusal.problems) for refusal in refusals)
        for refusal in refusals:
            if len(self.issues) >= MAX_ISSUES:
                break
            self.issues.extend(islice(refusal.issues(), MAX_ISSUES - len(self.issues)))
