"""Consecutive rows of a table as the columns of a block, and where each of them comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, repeat
from operator import contains
from typing import Final

from dataflow.formats.block import WRONG_COLUMN_COUNT, Malformed
from dataflow.formats.columns.addresses import is_address
from dataflow.formats.columns.contact_columns import Columns
from dataflow.formats.columns.joining import Place, in_rows
from dataflow.formats.tables.cells import DELIMITERS, END_OF_COPY, MAX_COLUMNS, Refused, height, height_of, is_blank
from dataflow.formats.tables.other_tables import TablesBelow

_SWALLOWING: Final = Malformed("A quoted cell holds lines that look like rows. Is the quote missing that closes it?")


@dataclass(slots=True)
class Run:
    """Rows as the reader gives them, with blank ones; the origin of the block that they become."""

    rows: list[list[str]]
    first_line: int
    line_count: int
    may_swallow: bool = True  #: whether an open quote is likelier than a cell that holds lines like rows
    _kept: list[list[str]] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)  #: where each kept row begins, once somebody has asked

    def line(self, index: int) -> int:
        is_flat = self.line_count == len(self.rows)
        if is_flat and len(self._kept) == len(self.rows):
            return self.first_line + index
        if not self._starts:
            starts = accumulate(repeat(1) if is_flat else map(height_of, self.rows), initial=self.first_line)
            self._starts = [line for row, line in zip(self.rows, starts, strict=False) if not is_blank(row)]
        return self._starts[index]

    def row(self, index: int) -> list[str]:
        return self._kept[index]

    def as_columns(self, width: int, columns: Columns, below: TablesBelow) -> tuple[Sequence[object], Sequence[object]]:
        """Names and e-mails, without blank rows; the header row has `width` cells."""
        read, has_high_rows = self.rows, self.line_count > len(self.rows)
        is_suspect = has_high_rows and self.may_swallow
        self.rows = self._kept = rows = _with_swallowing_refused(read, width) if is_suspect else read
        if width > 1 and rows is read and not below.is_other and set(map(len, rows)) == {width}:
            emails = _column(rows, columns.emails)
            # Only a row without an address may be blank, or the header of another table.
            odd = () if all(map(contains, emails, repeat("@"))) else list(below.odd(rows))
            if not any(map(is_blank, odd)) and not below.begins_in(odd):
                return _column(rows, columns.names), emails
        below.refuse(rows)
        if max(map(len, rows), default=0) > MAX_COLUMNS:
            self.rows = rows = [_narrowed(row, width) if len(row) > MAX_COLUMNS else row for row in rows]
        self._kept = _without_blank(rows)
        return _ragged_columns(self._kept, width, columns)


def _with_swallowing_refused(rows: list[list[str]], width: int) -> list[list[str]]:
    """The rows; those that an open quote has made swallow others are refused, so that these are not lost."""
    suspects = [row for row in rows for text in row if "@" in text and ("\n" in text or "\r" in text)]
    if not any(_has_swallowed(row, width) for row in suspects):
        return rows
    return [Refused(row, _SWALLOWING, height(row)) if _has_swallowed(row, width) else row for row in rows]


def _has_swallowed(row: list[str], width: int) -> bool:
    """Whether a cell goes on over lines with as many cells as the header row, an address among them."""
    return type(row) is not Refused and any(
        is_address(cell.strip())
        for text in row
        for line in text.splitlines()[1:]
        if "@" in line
        for delimiter in DELIMITERS
        if line.count(delimiter) == width - 1 > 0
        for cell in line.split(delimiter)
    )


def _without_blank(rows: list[list[str]]) -> list[list[str]]:
    """The rows that are not `is_blank`, in a fifth of the time."""
    if END_OF_COPY in rows:
        rows = [row for row in rows if row != END_OF_COPY]
    return [row for row in rows if type(row) is Refused or (any(row) and (row[0].strip() or not is_blank(row)))]


def _narrowed(row: list[str], width: int) -> list[str]:
    """What is kept of a row with too many cells; a blank one stays blank, and as high."""
    if is_blank(row):
        return ["\n" * (height(row) - 1)]
    return Refused(row[:MAX_COLUMNS], _miscounted(row, width), height(row))


def _miscounted(row: list[str], width: int) -> Malformed:
    return Malformed(f"Expected {width} cells, found {len(row)}", WRONG_COLUMN_COUNT)


def _ragged_columns(rows: list[list[str]], width: int, columns: Columns) -> tuple[Sequence[object], Sequence[object]]:
    reach = columns.reach
    problems = {
        index: row.problem if isinstance(row, Refused) else _miscounted(row, width)
        for index, row in enumerate(rows)
        if type(row) is Refused or (len(row) != width and (len(row) < reach or any(map(str.strip, row[width:]))))
    }
    if not problems:
        return _column(rows, columns.names), _column(rows, columns.emails)
    rows = rows.copy()
    for index in problems:
        rows[index] = [""] * reach
    names: list[object] = [*_column(rows, columns.names)]
    emails: list[object] = [*_column(rows, columns.emails)]
    for index, problem in problems.items():
        names[index] = emails[index] = problem
    return names, emails


def _column(rows: list[list[str]], places: tuple[Place, ...]) -> list[str]:
    return in_rows(places, len(rows), lambda position: [row[position] for row in rows])
