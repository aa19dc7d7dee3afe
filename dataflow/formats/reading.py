"""How a file is to be read, and what reading it has found out."""

from collections.abc import Callable
from dataclasses import dataclass, field

from dataflow.text import storable_json

#: The members of `mapping` and the columns that each is made of, joined by a space when there are several.
Mapping = dict[str, list[str]]


def _go_on() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Reading:
    """What a format has to know; what is None is found out."""

    max_row_bytes: int
    max_expanded_bytes: int = 10 * 1024**3  #: of a compressed file, over all that it expands to
    mapping: Mapping | None = None  #: either member may be missing, and is then found out
    encoding: str | None = None  #: a codec's name
    charset: str | None = None  #: the same as a label that the content may prove wrong
    delimiter: str | None = None  #: one character
    skip_rows: int | None = None  #: physical lines before the header row
    sheet: str | None = None  #: of a workbook: its name, or its number from 1
    members: frozenset[str] = frozenset()  #: of a JSON object around the rows: those that mean something, beside `data`
    is_beginning: bool = False  #: the content may end anywhere: rows that are not complete are no errors
    check: Callable[[], None] = _go_on  #: called with each piece that is read, and raises what ends the reading


@dataclass(slots=True)
class Findings:
    """What is found out of a file while it is read.

    `facts`, as far as they apply: compression, encoding, encodingIsGuessed (true, or not there), hasByteOrderMark,
    delimiter, quote (where it is not "), preambleLines, headerLine, mapping ({"name": {"columns": [...], "reason":
    "..."}, ...}), skipInitialSpace, sheet, version, dryRun.
    """

    facts: dict[str, object] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)  #: the header row of a file that has one, as it came
    ignored_columns: list[str] = field(default_factory=list)  #: columns or members that are neither name nor e-mail
    elsewhere: str = ""  #: which part of the file was read, for the message that it has no contacts

    def as_json(self) -> dict[str, object]:
        """What is kept on the job as `detected`."""
        named = {"columns": self.columns, "ignoredColumns": self.ignored_columns}
        found: dict[str, object] = storable_json(
            {**self.facts, **{name: value for name, value in named.items() if value}}
        )
        return found
