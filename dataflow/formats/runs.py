"""Consecutive rows of a table as the columns of a block, and where each of them comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, repeat
from typing import Final

from dataflow.formats.columns import Columns, is_address
from dataflow.formats.full_names import FirstAndLast, Place, together
from dataflow.formats.rows import WRONG_COLUMN_COUNT, Malformed

#: What a spreadsheet can have, the last one is XFD; of a row with more cells only so many are kept.
MAX_COLUMNS: Final = 16_384
_DELIMITERS: Final = ",;\t|"
_HOLDS_ROWS: Final = Malformed("A quoted cell holds lines that look like rows. Is the quote missing that closes it?")


class Refused(list[str]):
    """A row that is none, whatever its cells: those that it may be shown by."""

    __slots__ = ("height", "problem")

    def __init__(self, cells: list[str], problem: Malformed, height: int) -> None:
        super().__init__(cells)
        self.problem = problem
        self.height = height  #: how many physical lines it takes, cells that are left out included


@dataclass(slots=True)
class Run:
    """Rows as the reader gives them, blank ones among them; the origin of the block that they become."""

    rows: list[list[str]]
    first_line: int
    line_count: int
    _kept: list[list[str]] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)  #: where each kept row begins, once somebody has asked

    def line(self, index: int) -> int:
        is_flat = self.line_count == len(self.rows)
        if is_flat and len(self._kept) == len(self.rows):
            return self.first_line + index
        if not self._starts:
            starts = accumulate(repeat(1) if is_flat else map(height_of, self.rows), initial=self.first_line)
            self._starts = [line for row, line in zip(self.rows, starts, strict=False) if not _is_blank(row)]
        return self._starts[index]

    def row(self, index: int) -> list[str]:
        return self._kept[index]

    def _holding_rows(self, width: int) -> list[int]:
        if self.line_count <= len(self.rows):
            return []
        # In one go, because nearly none has both in a cell.
        suspects = [row for row in self.rows for text in row if "@" in text and ("\n" in text or "\r" in text)]
        if not any(_holds_rows(row, width) for row in suspects):
            return []
        return [at for at, row in enumerate(self.rows) if _holds_rows(row, width)]

    def as_columns(self, width: int, columns: Columns) -> tuple[Sequence[object], Sequence[object]]:
        """Names and e-mails, without blank rows; the header row has `width` cells."""
        rows = self.rows
        if holding := self._holding_rows(width):
            self.rows = rows = rows.copy()
            for at in holding:
                rows[at] = Refused(rows[at], _HOLDS_ROWS, height(rows[at]))
        self._kept = rows
        if width > 1 and not holding and set(map(len, rows)) == {width}:
            emails = _column(rows, columns.emails)
            # Only where there is no e-mail may a row be blank.
            if all(map(str.strip, emails)) or not any(
                _is_blank(row) for row, email in zip(rows, emails, strict=True) if not email or email.isspace()
            ):
                return _column(rows, columns.names), emails
        if max(map(len, rows), default=0) > MAX_COLUMNS:
            self.rows = rows = [_narrowed(row, width) if len(row) > MAX_COLUMNS else row for row in rows]
        self._kept = _without_blank(rows)
        return _ragged_columns(self._kept, width, columns)


def count_lines(text: str) -> int:
    """How many line ends there are, whichever kind each of them is."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def height(cells: list[str]) -> int:
    """How many physical lines a record takes."""
    text = "|".join(cells)  # a CR at the end of one cell and an LF at the beginning of the next are two line ends
    return 1 + count_lines(text) if "\n" in text or "\r" in text else 1


def height_of(row: list[str]) -> int:
    """The same for a row as the reader gives it, or one that is refused."""
    return row.height if isinstance(row, Refused) else height(row)


def is_blank(cells: list[str]) -> bool:
    """Whether a record is none: nothing but white space, in however many cells."""
    return not any(map(str.strip, cells))


def _is_blank(row: list[str]) -> bool:
    return not isinstance(row, Refused) and is_blank(row)


def _holds_rows(row: list[str], width: int) -> bool:
    """Whether a cell goes on over lines with as many cells as the header row, an address among them."""
    return type(row) is not Refused and any(
        is_address(cell.strip())
        for text in row
        for line in text.splitlines()[1:]
        if "@" in line
        for delimiter in _DELIMITERS
        if line.count(delimiter) == width - 1 > 0
        for cell in line.split(delimiter)
    )


def _without_blank(rows: list[list[str]]) -> list[list[str]]:
    """The rows that are not `_is_blank`, in a fifth of the time."""
    return [row for row in rows if type(row) is Refused or (any(row) and (row[0].strip() or not is_blank(row)))]


def _narrowed(row: list[str], width: int) -> list[str]:
    """What is kept of a row with more cells than any table has; a blank one stays blank, and as high."""
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
    """What `columns.joined` gives for each row, all at once."""
    merged = _place(rows, places[0])
    for place in places[1:]:
        if all(map(str.strip, merged)):
            break
        other = _place(rows, place)
        merged = [two if two.strip() and not one.strip() else one for one, two in zip(merged, other, strict=True)]
    return merged


def _place(rows: list[list[str]], place: Place) -> list[str]:
    if len(place) == 1:
        [position] = place
        return [row[position] for row in rows]
    parts = [[row[position].strip() for row in rows] for position in place]
    if type(place) is FirstAndLast:
        return [together(texts, place) for texts in zip(*parts, strict=True)]
    if any("" in part for part in parts):
        return [" ".join(filter(None, texts)) for texts in zip(*parts, strict=True)]
    return list(map(" ".join, zip(*parts, strict=True)))
