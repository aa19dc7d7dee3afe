"""Validates a JSON body while it is received, so that a request with a bad contact is refused as a whole."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from marshmallow import ValidationError

from dataflow.contacts import validation
from dataflow.errors import InputError, InvalidContacts, Issue
from dataflow.formats.block import in_parts
from dataflow.formats.json.document import JsonWalker
from dataflow.formats.reading import Findings, Reading
from dataflow.imports.import_progress import MAX_ISSUES, ImportProgress
from dataflow.imports.options import MAX_REJECTS_DEFAULT, MEMBERS, REFUSED_MEMBERS, TYPED_MEMBERS, OptionsSchema


class JsonCheck:
    """Takes one body piece by piece; options that are `given` outside of it win over its members.

    Contacts are left to the worker with onInvalid=skip or dryRun, which may stand behind them.
    """

    def __init__(self, reading: Reading, given: dict[str, Any]) -> None:
        self._walker = JsonWalker(replace(reading, members=MEMBERS), Findings())
        self._given = given
        self._rows = ImportProgress()
        self._too_many: InputError | None = None

    def feed(self, piece: bytes) -> None:
        """:raises MalformedInput, RowTooLarge: when the document is broken.
        :raises InputError: too_many_rejects when nothing that follows can make the body valid.
        """
        block = self._walker.feed(piece)
        if block and not self._too_many and not self._is_lenient():
            for part in in_parts(block):
                self._rows.reject(validation.judge(part).refusals)
            self._limit()
        if self._too_many and self._walker.is_bare:
            raise self._too_many

    def close(self) -> dict[str, Any]:
        """The options that are given or are members of the body.

        :raises MalformedInput: when the document is not complete.
        :raises InvalidContacts, InputError: with its issues; too_many_rejects when there are very many.
        """
        self._walker.close()
        if self._is_lenient():
            self._rows, self._too_many = ImportProgress(), None
        if self._too_many:
            raise self._too_many
        options = self._options()
        issues = [*self._frame_issues(options), *self._rows.issues]
        if issues:
            count = len(issues) - len(self._rows.issues) + self._rows.issue_count
            raise InvalidContacts(f"Invalid JSON format: {_summary(issues[0], count)}", issues[:MAX_ISSUES], count)
        return options

    def members(self) -> dict[str, Any]:
        """The options among the members that have come so far; a nested value is its type."""
        found = self._walker.members.items()
        return {name: value for name, value in found if value is not None or name in TYPED_MEMBERS}

    def _options(self) -> dict[str, Any]:
        return {**self.members(), **self._given}

    def _is_lenient(self) -> bool:
        options = self._options()
        return options.get("onInvalid") == "skip" or options.get("dryRun") is True

    def _limit(self) -> None:
        """Note that maxRejects is exceeded. A member behind the rows may still leave them to the worker."""
        limit = self._options().get("maxRejects", MAX_REJECTS_DEFAULT)
        if type(limit) is int and self._rows.rows_rejected > max(limit, 0):
            self._too_many = InputError(
                f"{self._rows.rows_rejected} of the first {self._walker.row_count} contacts are invalid, and "
                f"maxRejects allows {limit}.",
                self._rows.issues,
                self._rows.issue_count,
                code="too_many_rejects",
            )

    def _frame_issues(self, options: dict[str, Any]) -> Iterator[Issue]:
        if self._walker.data_type is None:
            yield Issue(("data",), "Required")
        elif self._walker.data_type is not list:
            yield Issue(("data",), "Expected an array")
        elif self._walker.row_count == 0:
            yield Issue(("data",), "Must contain at least 1 contact")
        # First, wherever it stands, and the one that counts: None, where there is none, is refused.
        source = {"source": options.get("source")}
        for name, value in {**source, **self.members(), **source}.items():
            yield from _option_issues(name, value)


def _option_issues(name: str, value: object) -> Iterator[Issue]:
    if name in REFUSED_MEMBERS:
        yield Issue((name,), "Send it as a query parameter or a header")
        return
    kind, expectation = TYPED_MEMBERS.get(name, (object, ""))
    if kind is not object and type(value) is not kind:
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
