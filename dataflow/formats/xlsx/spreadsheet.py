"""XLSX: a sheet of a workbook, with a header row as in CSV; cells are taken as text.

A workbook can only be read from its end, so its bytes go to a temporary file first.
"""

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from errno import EINVAL
from itertools import chain
from tempfile import TemporaryFile
from typing import IO, Any, Final
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile

from dataflow.errors import DataFlowError, ExpandsTooFar, MalformedInput, MissingColumns, NoContacts
from dataflow.formats.block import Block, Kept, Malformed, packed
from dataflow.formats.columns.contact_columns import Columns, note_header
from dataflow.formats.columns.joining import in_row
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.tables.other_tables import TablesBelow, refused_above
from dataflow.formats.wrapping import bare
from dataflow.formats.xlsx.sheet_table import SheetTable, size_of, table_of
from dataflow.text import MARK

#: A full sheet of 1,048,576 contacts has 32 MB, without pictures.
MAX_WORKBOOK_BYTES: Final = 256 * 1024**2
#: What is looked at for zero bytes at once, and the end of a ZIP archive, which may have some.
_PADDING_BYTES, _END_BYTES = 32 * 1024, 22
_UNSTORED: Final = Malformed("The result of a formula is not stored in the file. Open it in Excel and save it.")
#: A larger row is not put together to see whether a cell has no value.
_JOINED_CHARACTERS: Final = 4096
#: How cells that have no value begin, and what they are taken as.
_TAKEN_AS: Final = {f"{MARK}=": _UNSTORED, f"{MARK}#": ""}
#: What damaged workbooks were seen to raise. RuntimeError: encrypted parts.
_DAMAGE: Final = (
    BadZipFile, zlib.error, ExpatError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError,
    RuntimeError, EOFError, OSError,
)  # fmt: skip


def read_blocks(pieces: Iterable[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    """The rows below the header; rows of only empty cells are no rows.

    :raises MalformedInput: when it is no workbook, or a damaged one.
    :raises ExpandsTooFar, RowTooLarge: when it, what it expands to, or a row is too large.
    :raises InputError: sheet_not_found, or NoContacts when the sheet is empty.
    :raises MissingColumns, AmbiguousColumns: when there is no header row, or several columns could be the same.
    :raises DataFlowError: spool_unavailable when the disk does not take it.
    """
    with _disk_errors(), TemporaryFile() as file, TemporaryFile() as texts_file:
        _spool(pieces, file)
        with _damage_errors(reading):
            yield from _read(file, texts_file, reading, findings)


def _spool(pieces: Iterable[bytes], file: IO[bytes]) -> None:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_WORKBOOK_BYTES:
            raise ExpandsTooFar(f"The workbook is larger than {MAX_WORKBOOK_BYTES} bytes. Save the sheet as CSV.")
        file.write(piece)
    _cut_padding(file, size)


def _cut_padding(file: IO[bytes], size: int) -> None:
    """Cut off zero bytes behind the workbook, but for some: zipfile looks for its end in the last 64 KiB."""
    end = size
    while end > 0:
        file.seek(max(0, end - _PADDING_BYTES))
        if file.read(min(end, _PADDING_BYTES)).strip(b"\0"):
            break
        end -= _PADDING_BYTES
    file.truncate(min(size, max(0, end) + _END_BYTES))


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataFlowError(
            f"A workbook cannot be kept on disk (TMPDIR): {error.strerror or error}.", code="spool_unavailable"
        ) from error


@contextmanager
def _damage_errors(reading: Reading) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        # EINVAL: a place before the beginning of the file. Any other is about the disk.
        if getattr(error, "errno", None) not in (None, EINVAL):
            raise
        if reading.is_beginning:
            raise MalformedInput("A workbook can only be previewed as a whole, and this is its beginning.") from error
        raise MalformedInput("The workbook is damaged, or none at all. Save it as .xlsx again, or as CSV.") from error


def _read(file: IO[bytes], texts_file: IO[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    # openpyxl takes 9 MiB, which a worker that meets no workbook never needs.
    from dataflow.formats.xlsx.workbook import Sheet

    sheet = Sheet(file, texts_file, reading)
    findings.facts["sheet"] = sheet.title
    findings.elsewhere = f" {sheet.choice()}"
    rows = sheet.rows()
    try:
        table = table_of(rows, reading)
    except (MissingColumns, NoContacts) as error:
        raise type(error)(f"{error.message}{findings.elsewhere}") from error
    header = [bare(cell) for cell in table.header]
    note_header(findings, table.line, header, table.columns)
    yield from packed(chain(refused_above(table.line, table.above), _contacts(table, reading)))


def _contacts(table: SheetTable, reading: Reading) -> Iterator[tuple[int, Kept | None]]:
    width, found, below = len(table.header), table.columns, TablesBelow(table.columns, reading.mapping)
    for line, cells in table.rows:
        is_filled = any(map(str.strip, cells))
        if is_filled and len(cells) < width:
            cells.extend([""] * (width - len(cells)))
        if table.wrapping:
            table.wrapping.take_off([cells])
        size = size_of((line, cells))
        if not is_filled:
            yield size, None
        elif problem := below.look_at(cells):
            yield size, (line, cells, problem, problem)
        else:
            yield size, (line, cells, *_pair(cells, size, found))


def _pair(cells: list[Any], size: int, found: Columns) -> tuple[object, object]:
    """The name and the e-mail of a row; neither, where a formula's result that is not stored would count."""
    if size > _JOINED_CHARACTERS or MARK in "".join(cells):
        cells = [_TAKEN_AS.get(cell[:2], cell) for cell in cells]
    pair = in_row(cells, found.names), in_row(cells, found.emails)
    return (_UNSTORED, _UNSTORED) if _UNSTORED in pair else pair
