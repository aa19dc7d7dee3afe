"""XLSX: the first visible sheet of a workbook, with a header row as in CSV; cells are taken as text.

A workbook can only be read from its end, so its bytes go to a temporary file first.
"""

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from errno import EINVAL
from itertools import chain, islice
from tempfile import TemporaryFile
from typing import IO, Final
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from dataflow.errors import (
    AmbiguousColumns,
    ExpandsTooFar,
    MalformedInput,
    MissingColumns,
    NoContacts,
    SpoolUnavailable,
)
from dataflow.formats import columns
from dataflow.formats.columns import Columns
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.rows import Block

#: Of the temporary file. A full sheet of 1,048,576 contacts has 32 MB, without pictures.
MAX_WORKBOOK_BYTES: Final = 256 * 1024**2
#: A block is full with either.
BLOCK_ROWS, BLOCK_CHARACTERS = 800, 256 * 1024
#: How many rows may be looked at for the header.
MAX_HEADER_ROWS: Final = 30
_ZIP, _OLE2 = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
#: What zipfile, the XML parser and our reading were seen to raise at damaged workbooks. RuntimeError: encrypted parts.
_DAMAGE: Final = (
    BadZipFile, zlib.error, ParseError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError,
    RuntimeError, EOFError,
)  # fmt: skip

Row = tuple[int, list[str]]


@dataclass(slots=True)
class SheetOrigin:
    """The rows of a block; their lines are the sheet's row numbers."""

    lines: list[int] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def line(self, index: int) -> int | None:
        return self.lines[index]

    def row(self, index: int) -> str | list[str]:
        return self.rows[index]


def read_blocks(pieces: Iterable[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    """The rows below the header; rows of only empty cells are no rows.

    :raises MalformedInput: when it is no workbook, or a damaged one.
    :raises ExpandsTooFar: when it, or what it expands to, is too large.
    :raises RowTooLarge: when a row is larger than `reading.max_row_bytes`.
    :raises NoContacts: when the sheet is empty.
    :raises MissingColumns: when none of its first rows is a header row.
    :raises AmbiguousColumns: when several columns could be the same.
    :raises SpoolUnavailable: when the disk does not take it.
    """
    with _disk_told(), TemporaryFile() as file, TemporaryFile() as texts_file:
        _spool(pieces, file)
        with _damage_told(reading):
            yield from _read(file, texts_file, reading, findings)


def _spool(pieces: Iterable[bytes], file: IO[bytes]) -> None:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_WORKBOOK_BYTES:
            raise ExpandsTooFar(f"The workbook is larger than {MAX_WORKBOOK_BYTES} bytes. Save the sheet as CSV.")
        file.write(piece)


@contextmanager
def _disk_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SpoolUnavailable(f"A workbook cannot be kept on disk (TMPDIR): {error.strerror or error}.") from error


@contextmanager
def _damage_told(reading: Reading) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise _damaged(reading) from error
    except OSError as error:
        # EINVAL: a place before the beginning of the file. Any other is about the disk.
        if error.errno not in (None, EINVAL):
            raise
        raise _damaged(reading) from error


def _damaged(reading: Reading) -> MalformedInput:
    if reading.is_beginning:
        return MalformedInput("A workbook can only be previewed as a whole, and this is its beginning.")
    return MalformedInput("The workbook is damaged, or none at all. Save it as .xlsx again, or as CSV.")


def _read(file: IO[bytes], texts_file: IO[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    file.seek(0)
    magic = file.read(4)
    if magic == _OLE2:
        raise MalformedInput(
            "This is an old Excel file (.xls), or one with a password. Save it as .xlsx without one, or as CSV."
        )
    if magic != _ZIP:
        raise BadZipFile
    # openpyxl takes 9 MiB, which a worker that meets no workbook never needs.
    from dataflow.formats.workbook import Sheet

    sheet = Sheet(file, texts_file, reading.max_row_bytes, reading.max_expanded_bytes)
    findings.facts["sheet"] = sheet.title
    filled = (row for row in sheet.rows() if any(map(str.strip, row[1])))
    header, found, rows = _find_header(filled, reading)
    findings.facts["headerLine"] = header[0]
    findings.facts["mapping"] = found.describe(header[1])
    findings.columns = header[1]
    findings.ignored_columns = columns.ignored(header[1], found)
    yield from _blocks(rows, len(header[1]), found)


def _find_header(rows: Iterator[Row], reading: Reading) -> tuple[Row, Columns, Iterator[Row]]:
    """The header row, its columns, and the rows below it."""
    skipped = reading.skip_rows or 0
    rows = filter(lambda row: row[0] > skipped, rows)
    first = list(islice(rows, MAX_HEADER_ROWS if reading.skip_rows is None else 1))
    ambiguous: AmbiguousColumns | None = None
    for position, row in enumerate(first):
        try:
            found = columns.find(row[1], reading.mapping)
        except MissingColumns:
            continue  # what `mapping` names is not in this one
        except AmbiguousColumns as error:
            ambiguous = ambiguous or error
            continue
        if found.is_complete:
            return row, found, chain(first[position + 1 :], rows)
    if ambiguous:
        raise ambiguous
    if not first:
        raise NoContacts("The sheet is empty: expected a header row naming name and email.")
    # Titles above a table fill one cell or two: the message shows the row of the most cells.
    likely = max(first, key=lambda row: sum(map(bool, row[1])))
    return likely, columns.require(likely[1], reading.mapping), rows


def _blocks(rows: Iterable[Row], width: int, found: Columns) -> Iterator[Block]:
    record, characters, origin = 0, 0, SheetOrigin()
    for line, cells in rows:
        cells.extend([""] * (width - len(cells)))
        origin.lines.append(line)
        origin.rows.append(cells)
        # An empty cell takes memory as well, and a row may have 16,384.
        characters += len(cells) + sum(map(len, cells))
        if len(origin.rows) == BLOCK_ROWS or characters >= BLOCK_CHARACTERS:
            yield _block(record, origin, found)
            record += len(origin.rows)
            characters, origin = 0, SheetOrigin()
    if origin.rows:
        yield _block(record, origin, found)


def _block(record: int, origin: SheetOrigin, found: Columns) -> Block:
    names = [columns.joined(cells, found.names) for cells in origin.rows]
    emails = [columns.joined(cells, found.emails) for cells in origin.rows]
    return Block(record, names, emails, origin)
