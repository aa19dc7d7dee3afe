"""CSV with a header row that names `name` and `email`, in any order and case; other columns are ignored.

The standard library's reader does the splitting; this module feeds it lines in bounded memory and turns its rows
into columns. A row with too few or too many cells is one bad row.
"""

import csv
import io
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from itertools import islice
from uuid import uuid4

from dataflow.errors import MalformedInput, MissingColumns, NoContacts, RowTooLarge
from dataflow.formats.rows import Block, Malformed

#: Rows in a block: about what ends in one piece of 64 KiB.
BLOCK_ROWS = 1500


def read_blocks(pieces: Iterable[bytes], max_row_bytes: int) -> Iterator[Block]:
    """The rows below the header; blank lines are no rows.

    :raises NoContacts: when there is no header row at all.
    :raises MissingColumns: naming what was found instead.
    :raises MalformedInput: for bytes that are not UTF-8, and for a quote that is never closed.
    :raises RowTooLarge: when a row needs more than `max_row_bytes`.
    """
    lines = _Lines(pieces, max_row_bytes)
    rows = _rows(lines)
    header = next(rows, None)
    if header is None:
        raise NoContacts("The file is empty: expected a header row naming name and email.")
    name_at, email_at = _locate(header)
    record = 0
    while block := list(islice(rows, BLOCK_ROWS)):
        yield _as_columns(block, record, len(header), name_at, email_at)
        record += len(block)


def _rows(lines: "_Lines") -> Iterator[list[str]]:
    csv.field_size_limit(lines.max_row_characters)
    reader = csv.reader(lines)
    try:
        for row in reader:
            lines.row_characters = 0
            if row:
                if row[-1] == lines.end:
                    return
                yield row
    except csv.Error as error:
        raise RowTooLarge(_too_large(lines.max_row_characters)) from error
    # The end mark was swallowed by the last row, so a quote is still open.
    raise MalformedInput(f"A quoted cell that begins before line {reader.line_num} is never closed.")


class _Lines:
    """The decoded lines of a stream, line ends kept, and after them one line that only `end` can be.

    csv.reader accepts an unclosed quote at the end of its input without a word; it can only be seen by whether
    the line `end` comes back as a row of its own.
    """

    def __init__(self, pieces: Iterable[bytes], max_row_bytes: int) -> None:
        self.max_row_characters = max_row_bytes
        self.row_characters = 0  #: fed since the reader last returned a row; reset by the reader's owner
        self.end = f"end-{uuid4()}"
        self._lines = self._split(pieces)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.row_characters += len(line)
        if self.row_characters > self.max_row_characters:
            raise RowTooLarge(_too_large(self.max_row_characters))
        return line

    def _split(self, pieces: Iterable[bytes]) -> Iterator[str]:
        rest = ""
        for text in _decoded(pieces):
            rest += text
            # A lone CR at the very end may be the first half of CRLF.
            cut = max(rest.rfind("\n"), rest.rfind("\r", 0, -1)) + 1
            yield from io.StringIO(rest[:cut], newline="")
            rest = rest[cut:]
            if len(rest) > self.max_row_characters:
                raise RowTooLarge(_too_large(self.max_row_characters))
        yield from io.StringIO(rest, newline="")
        yield self.end


def _decoded(pieces: Iterable[bytes]) -> Iterator[str]:
    decoder = getincrementaldecoder("utf-8-sig")()
    offset = 0
    try:
        for piece in pieces:
            yield decoder.decode(piece)
            offset += len(piece)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        pending = len(error.object) - len(piece)
        raise MalformedInput(
            f"Invalid UTF-8 at byte {offset - pending + error.start}. Save the file as UTF-8."
        ) from error


def _too_large(max_row_bytes: int) -> str:
    return f"A row is larger than {max_row_bytes} bytes (MAX_ROW_BYTES). Is a quote left open?"


def _locate(header: list[str]) -> tuple[int, int]:
    found = [cell.strip().casefold() for cell in header]
    missing = [column for column in ("name", "email") if column not in found]
    doubled = [column for column in ("name", "email") if found.count(column) > 1]
    if missing or doubled:
        problem = f"lacks {' and '.join(missing)}" if missing else f"has more than one {' and '.join(doubled)}"
        seen = ", ".join(cell[:40] for cell in header[:20])
        raise MissingColumns(f"The header row {problem}. It needs name and email once each, and has: {seen}.")
    return found.index("name"), found.index("email")


def _as_columns(rows: list[list[str]], record: int, width: int, name_at: int, email_at: int) -> Block:
    if set(map(len, rows)) == {width}:
        return Block(record, [row[name_at] for row in rows], [row[email_at] for row in rows])
    names: list[object] = []
    emails: list[object] = []
    for row in rows:
        fits = len(row) == width
        problem = None if fits else Malformed(f"Expected {width} cells, found {len(row)}")
        names.append(problem or row[name_at])
        emails.append(problem or row[email_at])
    return Block(record, names, emails)
