"""What an attempt at an import has counted and found out: its progress, and what is wrong with the refused rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from dataflow.contacts.validation import Refusal
from dataflow.formats.reading import Findings
from dataflow.imports.merge import Counts
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

    @property
    def rows_valid(self) -> int:
        return self.rows_read - self.rows_rejected

    def settle(self, counts: Counts, is_dry_run: bool) -> None:
        """Write down what has become of the valid rows, or would have without a dry run."""
        if is_dry_run:
            self.findings.facts["dryRun"] = {
                "rowsImported": counts.rows_imported,
                "rowsUpdated": counts.rows_updated,
                "rowsSkipped": counts.rows_skipped,
            }
            self.rows_not_imported, counts = self.rows_valid, Counts(0, 0, 0)
        self.rows_imported, self.rows_updated = counts.rows_imported, counts.rows_updated
        self.rows_skipped = counts.rows_skipped
        if not self.rows_imported:
            self.first_contact_id = self.last_contact_id = None

    def detected(self) -> dict[str, Any]:
        """What was found out about the file, as the job keeps it."""
        return self.findings.as_json()
