"""Where the table of a sheet begins: its header row, and what stands above and below it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from dataflow.errors import NoContacts
from dataflow.formats.block import BLOCK_CHARACTERS, batched
from dataflow.formats.columns import contact_columns
from dataflow.formats.columns.contact_columns import Columns
from dataflow.formats.reading import Reading
from dataflow.formats.tables.cells import Row
from dataflow.formats.tables.header_search import MAX_RECORDS, HeaderSearch
from dataflow.formats.tables.other_tables import contacts_above
from dataflow.formats.tables.table_wrapping import SAMPLE_ROWS, Wrapping, wrapping_of

#: Of the rows that are held while the header row is looked for.
_MAX_CHARACTERS: Final = 4 * BLOCK_CHARACTERS


@dataclass(frozen=True, slots=True)
class SheetTable:
    line: int
    header: list[str]
    columns: Columns
    above: list[Row]  #: rows above the header row that may be contacts
    wrapping: Wrapping  #: what is to be taken off the values
    rows: Iterator[Row]  #: those below the header row


def table_of(rows: Iterator[Row], reading: Reading) -> SheetTable:
    """The table of a sheet that has these rows.

    :raises NoContacts, MissingColumns: when the sheet is empty, or none of its first rows is a header row.
    :raises AmbiguousColumns: when several columns could be the same, or contacts stand above the header row.
    """
    first: list[Row] = []
    (line, header), found = _header(_filled(rows, reading, first), first, reading)
    above = contacts_above(line, len(header), first)
    below = chain([row for row in first if row[0] > line], rows)
    sample = next(batched(below, size_of, SAMPLE_ROWS, BLOCK_CHARACTERS), [])
    wrapping = wrapping_of(header, found, [cells for _, cells in sample])
    return SheetTable(line, header, found, above, wrapping, chain(sample, below))


def size_of(row: Row) -> int:
    return len(row[1]) + sum(map(len, row[1]))


def _filled(rows: Iterator[Row], reading: Reading, seen: list[Row]) -> Iterator[Row]:
    """The first rows that are not blank; `seen` takes them as well."""
    skipped = reading.skip_rows or 0
    filled = (row for row in rows if row[0] > skipped and any(map(str.strip, row[1])))
    size = 0
    for row in islice(filled, MAX_RECORDS if reading.skip_rows is None else 1):
        seen.append(row)
        yield row
        size += size_of(row)
        if size > _MAX_CHARACTERS:
            break


def _header(rows: Iterable[Row], seen: Sequence[Row], reading: Reading) -> tuple[Row, Columns]:
    search = HeaderSearch(reading.mapping)
    if found := [*search.candidates(rows)]:
        return found[-1]
    if search.ambiguous:
        raise search.ambiguous
    if not seen:
        raise NoContacts("The sheet is empty: expected a header row naming name and email.")
    # Titles above a table fill one cell or two: the message shows the row of the most cells.
    likely = max(seen, key=lambda row: sum(map(bool, row[1])))
    return likely, contact_columns.require(likely[1], reading.mapping)
