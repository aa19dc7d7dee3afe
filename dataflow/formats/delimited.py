"""CSV with a header row that names `name` and `email`, in any order and case; other columns are ignored.

The standard library's reader does the splitting; this module feeds it lines in bounded memory and turns its rows
into columns. A row with too few or too many cells is one bad row.
"""

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from uuid import uuid4

from dataflow.errors import MalformedInput, MissingColumns, NoContacts, RowTooLarge
from dataflow.formats.rows import Block, Malformed

#: Rows in a block. Lines of more than 128 KiB would be given back to the system and asked for again with every block.
BLOCK_ROWS = 800


def read_blocks(pieces: Iterable[bytes], max_row_bytes: int) -> Iterator[Block]:
    """The rows below the header; blank lines are no rows.

    :raises NoContacts: when there is no header row at all.
    :raises MissingColumns: naming what was found instead.
    :raises MalformedInput: for bytes that are not UTF-8, and for a quote that is never closed.
    :raises RowTooLarge: when a row needs more than `max_row_bytes`.
    """
    rows = _Rows(pieces, max_row_bytes)
    header: list[str] | None = None
    record = 0
    for block in rows.blocks():
        if header is None:
            header = block.pop(0)
            name_at, email_at = _locate(header)
        if block:
            yield _as_columns(block, record, len(header), name_at, email_at)
            record += len(block)
    if header is None:
        raise NoContacts("The file is empty: expected a header row naming name and email.")


class _Rows:
    """csv.reader over a stream, with the two things that it leaves out: a bound on a row, and an unclosed quote."""

    def __init__(self, pieces: Iterable[bytes], max_row_bytes: int) -> None:
        self._pieces = pieces
        self._max_row_bytes = max_row_bytes
        self._rows: list[list[str]] = []
        self._read = 0  #: rows read before those in `_rows`
        # csv.reader takes the end of its input for a closing quote. So one more line of two cells follows the last:
        # it comes back as a row of its own, or swallowed by a cell that is still open.
        self._end = [f"end-{uuid4()}"] * 2

    def blocks(self) -> Iterator[list[list[str]]]:
        """The rows, BLOCK_ROWS at a time, without blank lines; each list is the caller's."""
        csv.field_size_limit(self._max_row_bytes)
        reader = csv.reader(self._lines())
        try:
            for row in reader:
                self._rows.append(row)
                if len(self._rows) > BLOCK_ROWS:
                    # The last one is kept back: it may be the end.
                    yield from self._take(self._rows[:-1], self._rows[-1:])
        except csv.Error as error:
            raise self._too_large() from error
        if self._rows.pop() != self._end:
            raise MalformedInput("A quote that opens a cell is never closed: the rest of the file is in that cell.")
        yield from self._take(self._rows, [])

    def _take(self, rows: list[list[str]], kept: list[list[str]]) -> Iterator[list[list[str]]]:
        self._read += len(rows)
        self._rows = kept
        if found := rows if all(rows) else list(filter(None, rows)):
            yield found

    def _lines(self) -> Iterator[str]:
        """The decoded lines of the stream, line ends kept, and the end mark."""
        rest, offset, silent_bytes = b"", 0, 0
        for piece in self._pieces:
            rest += piece
            # A lone CR at the very end may be the first half of CRLF.
            cut = max(rest.rfind(b"\n"), rest.rfind(b"\r", 0, -1)) + 1
            before = self._read + len(self._rows)
            yield from io.StringIO(_decode(rest[:cut], offset), newline="")
            rest, offset = rest[cut:], offset + cut
            silent_bytes = 0 if self._read + len(self._rows) > before else silent_bytes + cut
            if silent_bytes + len(rest) > self._max_row_bytes:
                raise self._too_large()
        yield from io.StringIO(_decode(rest, offset), newline="")
        yield ",".join(self._end)

    def _too_large(self) -> RowTooLarge:
        return RowTooLarge(f"A row is larger than {self._max_row_bytes} bytes (MAX_ROW_BYTES). Is a quote left open?")


def _decode(lines: bytes, offset: int) -> str:
    """Whole lines as text; no character of UTF-8 has a line end inside."""
    try:
        return (lines if offset else lines.removeprefix(BOM_UTF8)).decode()
    except UnicodeDecodeError as error:
        start = offset + error.start + (0 if offset or not lines.startswith(BOM_UTF8) else len(BOM_UTF8))
        raise MalformedInput(f"Invalid UTF-8 at byte {start}. Save the file as UTF-8.") from error


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
