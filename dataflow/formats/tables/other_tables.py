"""Other tables in a file, above its header row and below: none of their contacts vanishes or comes in wrong."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from dataflow.errors import AmbiguousColumns, DataFlowError
from dataflow.formats.block import WRONG_COLUMN_COUNT, Kept, Malformed
from dataflow.formats.columns import contact_columns, headers
from dataflow.formats.columns.addresses import is_address
from dataflow.formats.columns.comparison import normalise
from dataflow.formats.columns.contact_columns import Columns
from dataflow.formats.reading import Mapping
from dataflow.formats.tables.cells import DELIMITERS, Refused, Row, height, is_blank

#: Nobody knows which cells of such a row are the name: its code makes a rejects file ask for it anew.
OTHER_COLUMNS: Final = Malformed(
    "Another table with other columns begins here or above: send it as a file of its own", WRONG_COLUMN_COUNT
)
_split: Final = re.compile(f"[{''.join(DELIMITERS)}]").split
#: Longer cells are no headers.
_MAX_HEADER_CHARACTERS: Final = 80
#: Remembered, because a file may say `no e-mail` in a million rows, and pages of a report repeat their header.
_MAX_KNOWN_CELLS: Final = 4096
_MAX_KNOWN_ROWS, _MAX_KNOWN_WIDTH = 16, 1024
#: Each takes part of a millisecond. After so many, any further one counts as another table's.
_MAX_OTHER_HEADERS: Final = 1000
_UNKNOWN: Final = Columns((), ())


def contacts_above(header_line: int, width: int, rows: Iterable[Row]) -> list[Row]:
    """The rows above the header row that have an address: neither part of the table, nor of a preamble.

    :param width: how many cells the header row has.
    :raises AmbiguousColumns: when one is as wide, so that it may be a contact of this table.
    """
    above = [(line, cells) for line, cells in rows if line < header_line and _has_contact(cells)]
    for line, cells in above:
        if len(cells) == width and any(is_address(cell.strip()) for cell in cells):
            raise AmbiguousColumns(
                f"Line {line} looks like a contact, but the header row is line {header_line}. Move that to the top, or "
                f"say skipRows={header_line - 1} to leave out all lines above it."
            )
    return above


def refused_above(header_line: int, rows: Iterable[Row]) -> Iterator[tuple[int, Kept]]:
    problem = Malformed(f"This row is above the header row, which is line {header_line}", WRONG_COLUMN_COUNT)
    for line, cells in rows:
        yield sum(map(len, cells)), (line, list(cells), problem, problem)


class TablesBelow:
    """Notices header rows among the rows of a table, and refuses what stands below one that has other columns."""

    def __init__(self, found: Columns, mapping: Mapping | None) -> None:
        self._found = found
        self._mapping = mapping
        self._emails = found.email_positions
        self._known: dict[tuple[str, ...], Columns | None] = {}  #: what rows that name an e-mail are as headers
        self._other_headers = 0
        self._is_below_blank = False
        self.is_other = False  #: the rows that come next are those of another table

    def odd(self, rows: Iterable[list[str]]) -> list[list[str]]:
        """The rows without an at-sign where the first e-mail is: only these can be a header row."""
        [at, *_] = self._emails
        return [row for row in rows if len(row) <= at or "@" not in row[at]]

    def begins_in(self, rows: Iterable[list[str]]) -> bool:
        return any(map(self._is_other_header, rows))

    def refuse(self, rows: list[list[str]]) -> None:
        """Replace each row that belongs to such a table, its header row included, by a refused one."""
        if not self.is_other and not self.begins_in(self.odd(rows)):
            return
        self._is_below_blank = False
        for index, row in enumerate(rows):
            problem = self.look_at(row)
            if problem and type(row) is list and not is_blank(row):
                rows[index] = Refused(row, problem, height(row))

    def look_at(self, row: list[str]) -> Malformed | None:
        """What is wrong with the next row when it belongs to such a table."""
        at = self._emails[0]
        if at < len(row) and "@" in row[at] and not self.is_other:
            self._is_below_blank = False
            return None
        found = self._columns_of(row) if self.odd([row]) else None
        # A row with only an e-mail is a header behind a blank line; elsewhere it may be a poor contact.
        if found and (found.is_complete or self._is_below_blank):
            self.is_other = not self._is_alike(found)
        self._is_below_blank = is_blank(row)
        return OTHER_COLUMNS if self.is_other else None

    def _is_other_header(self, row: list[str]) -> bool:
        found = self._columns_of(row)
        return found is not None and not self._is_alike(found)

    def _is_alike(self, found: Columns) -> bool:
        return (found.names, found.emails) == (self._found.names, self._found.emails)

    def _columns_of(self, row: list[str]) -> Columns | None:
        """The columns that a header row names, among them an e-mail; None for any other row."""
        has_value = any(at < len(row) and row[at].strip() for at in self._emails)
        if not has_value or type(row) is not list or not any(map(_names_email, row)):
            return None
        if len(row) > _MAX_KNOWN_WIDTH:
            return self._found_in(row)
        if (key := tuple(row)) not in self._known:
            if len(self._known) == _MAX_KNOWN_ROWS:
                self._known.clear()
            self._known[key] = self._found_in(row)
        return self._known[key]

    def _found_in(self, row: list[str]) -> Columns | None:
        if self._other_headers == _MAX_OTHER_HEADERS:
            return _UNKNOWN
        try:
            found = contact_columns.find(row, self._mapping)
        except DataFlowError:
            # The columns are ambiguous, or `mapping` does not fit.
            found = _UNKNOWN
            names_email = any(normalise(cell) in headers.EMAIL_ALIASES for cell in row)
        else:
            names_email = bool(found.emails)
        self._other_headers += names_email and not self._is_alike(found)
        return found if names_email else None


def _has_contact(cells: Sequence[str]) -> bool:
    """Whether a row has an address, unless the cell before is the label of a report, as in `Sent by:`."""
    return any(
        "@" in cell and any(map(_is_quoted_address, _split(cell))) and not _is_label(before)
        for before, cell in zip(["", *cells], cells, strict=False)
    )


def _is_quoted_address(text: str) -> bool:
    return is_address(text.strip(" \"'")) is not None


def _is_label(text: str) -> bool:
    words = text.strip().casefold()
    return words.endswith((":", " by")) or _may_be_email(normalise(words))


def _may_be_email(name: str) -> bool:
    return name in headers.EMAIL_ALIASES or "mail" in name


@lru_cache(_MAX_KNOWN_CELLS)
def _names_email(cell: str) -> bool:
    if not cell or len(cell) > _MAX_HEADER_CHARACTERS:
        return False
    return _may_be_email(normalise(cell)) and headers.could_be(cell)
