"""What an attempt at an import has counted and found out: its progress, and what is wrong with the refused rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from dataflow.contacts.validation import Refusal
from dataflow.formats.reading import Findings
from dataflow.queue.progress import Progress

#: Refused rows that are kept as issues on the job.
MAX_ISSUES = 100


@dataclass(slots=True)
class ImportProgress(Progress):
    """The progress of an import; `issues` are those of the first MAX_ISSUES refused rows."""

    findings: Findings = field(default_factory=Findings)
    issue_count: int = 0

    def reject(self, refusals: Sequence[Refusal]) -> None:
        """Count refused rows, keep their issues as long as there is room."""
        self.rows_rejected += len(refusals)
        self.issue_count += sum(len(refusal.problems) for refusal in refusals)
        for refusal in refusals:
            if len(self.issues) >= MAX_ISSUES:
                break
            self.issues.extend(islice(refusal.issues(), MAX_ISSUES - len(self.issues)))

    def detected(self) -> dict[str, Any]:
        """What was found out about the file, as the job keeps it."""
        return self.findings.as_json()
