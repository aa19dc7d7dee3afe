"""Delimited text with a header row: CSV in all its dialects. `dialect` finds out which; other columns are ignored.

The standard library's reader does the splitting; this module feeds it lines in bounded memory. A row with too few or
too many cells is one bad row.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final
from uuid import uuid4

from dataflow.errors import MalformedInput, MissingColumns
from dataflow.formats import columns, dialect
from dataflow.formats.dialect import Dialect, row_too_large, unclosed_quote
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.rows import PIECE_BYTES, Block
from dataflow.formats.runs import Run, count_lines, height
from dataflow.formats.text import HEAD_BYTES, decoded, detect, read_text

#: Rows in a block. Lists of more than 128 KiB would be given back to the system and asked for again with every block.
BLOCK_ROWS = 800
#: What JSON in Postgres does not take: NUL, and what stands for bytes that could not be decoded.
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def read_blocks(pieces: Iterable[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    """The rows below the header; blank lines and rows of empty cells are no rows.

    :raises NoContacts: when there is nothing but blank lines.
    :raises MissingColumns, AmbiguousColumns: naming what was found instead.
    :raises MalformedInput: when there is no telling the encoding, and for a quote that is never closed.
    :raises RowTooLarge: when a row needs more than `max_row_bytes`.
    """
    texts = read_text(pieces, reading.encoding, findings, reading.is_beginning)
    head, first_line, found = _settle(texts, reading)
    _note(found, findings)
    line = found.header_line + height(found.header)
    rows = _Rows(chain([dialect.after_lines(head, line - first_line)], texts), reading, found.delimiter, line)
    record = 0
    for run in rows.runs():
        names, emails = run.as_columns(len(found.header), found.columns)
        if names:
            yield Block(record, names, emails, run)
            record += len(names)


def look_ahead(head: bytes, reading: Reading) -> Dialect | None:
    """How content that begins with `head` will be read, None when that cannot be told from as little.

    It is refused here only when it would be refused as a whole, too; `reading.is_beginning` says that more may follow.

    :raises MissingColumns, AmbiguousColumns, MalformedInput, NoContacts, RowTooLarge: as `read_blocks`.
    """
    is_whole = not reading.is_beginning
    encoding = None
    try:
        encoding = detect(head, reading.encoding, is_whole)
        line, text = _without_blank_lines("".join(decoded([head], encoding)))
        return dialect.find(text, reading, is_whole, first_line=line + 1)
    except (MalformedInput, MissingColumns):
        # More of the content may show another encoding, and in that a column which `mapping` names.
        if is_whole or (encoding and not (encoding.is_guess and reading.mapping)):
            raise
        return None


def _settle(texts: Iterator[str], reading: Reading) -> tuple[str, int, Dialect]:
    """The dialect, and the text that it took to find it, from the first line that is not blank, with its number."""
    csv.field_size_limit(reading.max_row_bytes)
    head, line, enough = "", 1, PIECE_BYTES
    for text in texts:
        head += text
        if head[0].isspace():
            blank_lines, head = _without_blank_lines(head)
            line += blank_lines
        if len(head) >= HEAD_BYTES:
            return head, line, dialect.settle(head, reading, is_whole=False, first_line=line)
        if len(head) >= enough:
            # Of a length that does not depend on how the content is cut, so that neither does the outcome.
            if found := dialect.find(head[:PIECE_BYTES], reading, is_whole=False, first_line=line):
                return head, line, found
            enough = HEAD_BYTES
    return head, line, dialect.settle(head, reading, is_whole=not reading.is_beginning, first_line=line)


def _without_blank_lines(text: str) -> tuple[int, str]:
    """How many blank lines a text begins with, and what follows them."""
    blank = text[: len(text) - len(text.lstrip())]
    # A lone CR at the very end may be the first half of CRLF.
    end = max(blank.rfind("\n"), blank.rfind("\r", 0, len(text) - 1)) + 1
    return count_lines(blank[:end]), text[end:]


def _note(found: Dialect, findings: Findings) -> None:
    header = [_UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", cell) for cell in found.header]
    findings.facts["delimiter"] = found.delimiter
    if found.header_line > 1:
        findings.facts["preambleLines"] = found.header_line - 1
    findings.facts["headerLine"] = found.header_line
    findings.facts["mapping"] = found.columns.describe(header)
    findings.columns = header
    findings.ignored_columns = columns.ignored(header, found.columns)


class _Rows:
    """csv.reader over a stream, with the two things that it leaves out: a bound on a row, and an unclosed quote."""

    def __init__(self, texts: Iterable[str], reading: Reading, delimiter: str, first_line: int) -> None:
        self._texts = texts
        self._reading = reading
        self._delimiter = delimiter
        self._first_line = first_line
        self._rows: list[list[str]] = []
        self._line = first_line  #: on which the first of `_rows` begins
        self._read = 0  #: rows read before those in `_rows`
        # csv.reader takes the end of its input for a closing quote. So one more line of two cells follows the last:
        # it comes back as a row of its own, or swallowed by a cell that is still open.
        self._end = [f"end-{uuid4()}"] * 2

    def runs(self) -> Iterator[Run]:
        """The rows, BLOCK_ROWS at a time."""
        csv.field_size_limit(self._reading.max_row_bytes)
        reader = csv.reader(self._lines(), delimiter=self._delimiter)
        rows = self._rows
        try:
            for row in reader:
                rows.append(row)
                if len(rows) > BLOCK_ROWS:
                    yield self._take(reader.line_num)
                    rows = self._rows
        except csv.Error as error:
            raise row_too_large(self._reading.max_row_bytes) from error
        if self._rows[-1] != self._end and not self._reading.is_beginning:
            raise self._unclosed_quote()
        yield self._take(reader.line_num)

    def _take(self, lines: int) -> Run:
        """All rows but the last, which may be the end; `lines` have been read so far."""
        last = self._rows.pop()
        next_line = self._first_line + lines - height(last)
        run = Run(self._rows, self._line, next_line - self._line)
        self._read += len(run.rows)
        self._rows, self._line = [last], next_line
        return run

    def _lines(self) -> Iterator[str]:
        """The lines of the text, line ends kept, and the end mark."""
        rest, silent_bytes = "", 0
        for text in self._texts:
            rest += text
            # A lone CR at the very end may be the first half of CRLF.
            newline = rest.rfind("\n")
            cut = max(newline, rest.rfind("\r", newline + 1, -1)) + 1
            before = self._read + len(self._rows)
            lines, rest = rest[:cut], rest[cut:]
            yield from io.StringIO(lines, newline="")
            silent_bytes = 0 if self._read + len(self._rows) > before else silent_bytes + _utf8_bytes(lines)
            if silent_bytes + _utf8_bytes(rest) > self._reading.max_row_bytes:
                raise row_too_large(self._reading.max_row_bytes)
        if not self._reading.is_beginning or rest.endswith("\r"):
            yield from io.StringIO(rest, newline="")
        yield self._delimiter.join(self._end)

    def _unclosed_quote(self) -> MalformedInput:
        *above, last = self._rows
        return unclosed_quote(self._line + sum(map(height, above)) + height(last[:-1]) - 1)


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
