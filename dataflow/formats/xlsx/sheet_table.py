"""Where the table of a sheet begins: its header row, and what stands above and below it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from dataflow.errors import AmbiguousColumns, MissingColumns, NoContacts
from dataflow.formats.block import BLOCK_CHARACTERS, batched
from dataflow.formats.columns import contact_columns
from dataflow.formats.columns.contact_columns import Columns
from dataflow.formats.csv.quoting import MAX_ROWS
from dataflow.formats.reading import Reading
from dataflow.formats.tables.other_tables import MAX_RECORDS, Row, begins_contacts, contacts_above
from dataflow.formats.tables.table_wrapping import Wrapping, wrapping_of

_Found = tuple[Row, Columns]

#: Of the rows that the header row is looked for in: they are held.
_MAX_CHARACTERS: Final = 4 * BLOCK_CHARACTERS


@dataclass(frozen=True, slots=True)
class SheetTable:
    """A table from its header row on."""

    line: int
    header: list[str]
    columns: Columns
    above: list[Row]  #: rows above the header row that may be contacts
    wrapping: Wrapping  #: what is to be taken off the values
    rows: Iterator[Row]  #: those below the header row


def table_of(rows: Iterator[Row], reading: Reading) -> SheetTable:
    """The table of a sheet that has these rows.

    :raises NoContacts: when the sheet is empty.
    :raises MissingColumns: when none of its first rows is a header row.
    :raises AmbiguousColumns: when several columns could be the same, or contacts stand above the header row.
    """
    first: list[Row] = []
    (line, header), found = _header(_filled(rows, reading), first, reading)
    above = contacts_above(line, len(header), first)
    below = chain([row for row in first if row[0] > line], rows)
    sample = next(batched(below, size_of, MAX_ROWS, BLOCK_CHARACTERS), [])
    wrapping = wrapping_of(header, found, [cells for _, cells in sample])
    return SheetTable(line, header, found, above, wrapping, chain(sample, below))


def size_of(row: Row) -> int:
    """What a row takes: an empty cell takes memory as well, or at least time, and a row may have 16,384."""
    return len(row[1]) + sum(map(len, row[1]))


def _filled(rows: Iterator[Row], reading: Reading) -> Iterator[Row]:
    """The first rows, without blank ones: those that the header row may be among."""
    skipped = reading.skip_rows or 0
    filled = (row for row in rows if row[0] > skipped and any(map(str.strip, row[1])))
    size = 0
    for row in islice(filled, MAX_RECORDS if reading.skip_rows is None else 1):
        yield row
        size += size_of(row)
        if size > _MAX_CHARACTERS:
            break


def _header(rows: Iterable[Row], seen: list[Row], reading: Reading) -> _Found:
    """The header row; `seen` takes all rows that are looked at, some of which may stand below it."""
    ambiguous: AmbiguousColumns | None = None
    qualified: _Found | None = None
    for row in rows:
        seen.append(row)
        if qualified and begins_contacts(row[1], qualified[1]):
            return qualified
        if not contact_columns.may_be_header(row[1], reading.mapping):
            continue
        try:
            found = contact_columns.find(row[1], reading.mapping)
        except MissingColumns:
            continue  # what `mapping` names is not in this one
        except AmbiguousColumns as error:
            ambiguous = ambiguous or error
            continue
        if found.is_complete and not found.is_qualified:
            return row, found
        if found.is_complete and not qualified:
            qualified = row, found
    return qualified or _none(seen, ambiguous, reading)


def _none(first: list[Row], ambiguous: AmbiguousColumns | None, reading: Reading) -> _Found:
    if ambiguous:
        raise ambiguous
    if not first:
        raise NoContacts("The sheet is empty: expected a header row naming name and email.")
    # Titles above a table fill one cell or two: the message shows the row of the most cells.
    likely = max(first, key=lambda row: sum(map(bool, row[1])))
    return likely, contact_columns.require(likely[1], reading.mapping)
