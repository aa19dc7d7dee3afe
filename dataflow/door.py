"""Validates a JSON body while it passes, so that a request with a bad contact is refused as a whole."""

from collections.abc import Iterator
from dataclasses import dataclass

from dataflow import contacts
from dataflow.errors import InvalidContacts, Issue
from dataflow.formats.json_document import JsonWalker
from dataflow.jobs import MAX_ISSUES, Tally


@dataclass(frozen=True, slots=True)
class RequestMembers:
    """What the request object says beside its contacts."""

    source: str
    use_resumable: bool
    on_invalid: str | None = None


class JsonDoor:
    """Takes one body piece by piece. With `judges_rows` every contact has to be valid, else only the document."""

    def __init__(self, max_row_bytes: int, judges_rows: bool) -> None:
        self._walker = JsonWalker(max_row_bytes)
        self._judges_rows = judges_rows
        self._rows = Tally()

    def feed(self, piece: bytes) -> None:
        """Look at the next piece.

        :raises MalformedInput, RowTooLarge: when the document is broken.
        """
        block = self._walker.feed(piece)
        if block and self._judges_rows:
            verdict = contacts.judge(block)
            self._rows.reject(verdict.issues, verdict.rejected_rows)

    def close(self, given_source: str | None) -> RequestMembers:
        """End the body; a source given outside of it wins over its own.

        :raises MalformedInput: when the document is not complete.
        :raises InvalidContacts: with everything that is wrong with it.
        """
        self._walker.close()
        source = given_source or self._walker.members.get("source")
        resumable = self._walker.members.get("useResumable", False)
        on_invalid = self._walker.members.get("onInvalid")
        if on_invalid == "skip":
            self._rows = Tally()
        issues = [*self._frame_issues(source, resumable, on_invalid), *self._rows.issues]
        if issues:
            count = len(issues) - len(self._rows.issues) + self._rows.issue_count
            raise InvalidContacts(f"Invalid JSON format: {_summary(issues[0], count)}", issues[:MAX_ISSUES], count)
        return RequestMembers(str(source), bool(resumable), None if on_invalid is None else str(on_invalid))

    def _frame_issues(self, source: object, resumable: object, on_invalid: object) -> Iterator[Issue]:
        """What is wrong around the rows."""
        if self._walker.data_type is None:
            yield Issue(("data",), "Required")
        elif self._walker.data_type is not list:
            yield Issue(("data",), "Expected an array")
        elif self._walker.row_count == 0:
            yield Issue(("data",), "Must contain at least 1 contact")
        yield from contacts.source_issues(source)
        if not isinstance(resumable, bool):
            yield Issue(("useResumable",), "Expected true or false")
        if on_invalid not in (None, "skip", "abort"):
            yield Issue(("onInvalid",), "Expected skip or abort")


def _summary(first: Issue, count: int) -> str:
    where = ".".join(map(str, first.path))
    return f"{where}: {first.message.rstrip('.')}{f', and {count - 1} more' if count > 1 else ''}."
