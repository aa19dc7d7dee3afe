"""Validates a JSON body while it passes, so that a request with a bad contact is refused as a whole."""

from collections.abc import Iterator
from typing import Any, Final

from marshmallow import ValidationError

from dataflow import contacts, verdicts
from dataflow.errors import InvalidContacts, Issue, TooManyRejects
from dataflow.formats.json_document import QUERY_ONLY, JsonWalker
from dataflow.formats.reading import Findings, Reading
from dataflow.options import MAX_REJECTS_DEFAULT, OptionsSchema
from dataflow.tally import MAX_ISSUES, Tally

#: Members that take no text, whatever may be written in a query.
_TYPES: Final[dict[str, tuple[type, str]]] = {
    "useResumable": (bool, "Expected true or false"),
    "dryRun": (bool, "Expected true or false"),
    "maxRejects": (int, "Expected a number"),
}


class JsonDoor:
    """Takes one body piece by piece. With `judges_rows` every contact has to be valid, else only the document."""

    def __init__(self, reading: Reading, judges_rows: bool, max_rejects: int = MAX_REJECTS_DEFAULT) -> None:
        self._walker = JsonWalker(reading, Findings())
        self._judges_rows = judges_rows
        self._max_rejects = max_rejects
        self._rows = Tally()

    def feed(self, piece: bytes) -> None:
        """Look at the next piece.

        :raises MalformedInput, RowTooLarge: when the document is broken.
        :raises TooManyRejects: when there is no point in looking on.
        """
        block = self._walker.feed(piece)
        if block and self._judges_rows:
            self._rows.reject(verdicts.judge(block).refusals)
            if self._rows.rows_rejected > self._max_rejects:
                raise TooManyRejects(
                    f"{self._rows.rows_rejected} of the first {self._walker.row_count} contacts are invalid, and "
                    f"maxRejects allows {self._max_rejects}.",
                    self._rows.issues,
                    self._rows.issue_count,
                )

    def close(self, given: dict[str, Any]) -> dict[str, Any]:
        """End the body; its members that are options, of which those `given` outside of it win over its own.

        :raises MalformedInput: when the document is not complete.
        :raises InvalidContacts: with everything that is wrong with it.
        """
        self._walker.close()
        found = self._walker.members.items()
        members = {name: value for name, value in found if value is not None or name in _TYPES}
        options = {**members, **given}
        if options.get("onInvalid") == "skip" or options.get("dryRun") is True:
            self._rows = Tally()
        issues = [*self._frame_issues(members, options), *self._rows.issues]
        if issues:
            count = len(issues) - len(self._rows.issues) + self._rows.issue_count
            raise InvalidContacts(f"Invalid JSON format: {_summary(issues[0], count)}", issues[:MAX_ISSUES], count)
        return options

    def _frame_issues(self, members: dict[str, Any], options: dict[str, Any]) -> Iterator[Issue]:
        """What is wrong around the rows."""
        if self._walker.data_type is None:
            yield Issue(("data",), "Required")
        elif self._walker.data_type is not list:
            yield Issue(("data",), "Expected an array")
        elif self._walker.row_count == 0:
            yield Issue(("data",), "Must contain at least 1 contact")
        yield from contacts.source_issues(options.get("source"))
        for name, value in members.items():
            if name != "source":
                yield from _option_issues(name, value)


def _option_issues(name: str, value: object) -> Iterator[Issue]:
    if name in QUERY_ONLY:
        yield Issue((name,), "Send it as a query parameter or a header")
        return
    kind, expectation = _TYPES.get(name, (str, ""))
    if name in _TYPES and type(value) is not kind:
        yield Issue((name,), expectation)
        return
    try:
        _SCHEMA.load({name: value})
    except ValidationError as error:
        yield Issue((name,), " ".join(error.messages_dict[name]))


_SCHEMA: Final = OptionsSchema()


def _summary(first: Issue, count: int) -> str:
    where = ".".join(map(str, first.path))
    return f"{where}: {first.message.rstrip('.')}{f', and {count - 1} more' if count > 1 else ''}."
