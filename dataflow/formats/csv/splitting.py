"""Delimited text as rows of cells, some hundred at a time, in bounded memory.

The standard library's reader is strict here: text after a closing quote proves that a quote is missing or one too many,
and a lenient reader would make one row of several.
"""

import csv
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from dataflow.errors import MalformedInput, RowTooLarge
from dataflow.formats.block import BLOCK_CHARACTERS, BLOCK_ROWS, Malformed
from dataflow.formats.csv.dialect import Dialect, row_too_large, unclosed_quote
from dataflow.formats.csv.records import MAX_CELLS, end_of_cells, has_short_lines, lines_of
from dataflow.formats.csv.repair import Repair
from dataflow.formats.reading import Reading
from dataflow.formats.signs import plain_lines
from dataflow.formats.tables.cells import MAX_COLUMNS, Refused, count_lines, height, height_of
from dataflow.formats.tables.rows import Run


class Splitter:
    """csv.reader over a stream, with a bound on a row, and with the line on which a quote is wrong."""

    def __init__(self, texts: Iterable[str], reading: Reading, found: Dialect, first_line: int) -> None:
        self._texts = texts
        self._reading = reading
        self._found = found
        self._rows: list[list[str]] = []
        self._first_line = self._line = first_line  #: the latter is that on which the first of `_rows` begins
        self._read = 0  #: rows read before those in `_rows`
        self._block_rows = BLOCK_ROWS
        self._block_characters = 0  #: read since the last block
        self._located = (0, first_line)  #: how many of `_rows`, and the line on which the next one begins
        self._trail = _Trail()
        self._repaired = Repair(found)
        self._reader = csv.reader(
            # Not line by line through a generator of ours.
            chain.from_iterable(self._lines()),
            delimiter=found.delimiter,
            quotechar=found.quote,
            strict=True,
            skipinitialspace=found.skip_initial_space,
        )

    def runs(self) -> Iterator[Run]:
        csv.field_size_limit(self._reading.max_row_bytes)
        rows, is_open = self._rows, True
        while is_open:
            try:
                for row in self._reader:
                    rows.append(row)
                    if len(rows) >= self._block_rows:
                        yield self._take()
                        rows = self._rows
                is_open = False
            except csv.Error as error:
                rows += self._salvaged(error)
            if len(rows) >= self._block_rows or not is_open:
                yield self._take()
                rows = self._rows

    def _take(self) -> Run:
        next_line = self._first_line + self._reader.line_num
        # In an export, whose quotes are right, a cell may hold anything.
        run = Run(self._rows, self._line, next_line - self._line, self._found.wrapping.guards is None)
        self._read += len(run.rows)
        self._rows, self._line, self._located = [], next_line, (0, next_line)
        self._block_rows, self._block_characters = BLOCK_ROWS, 0
        return run

    def _lines(self) -> Iterator[Iterable[str]]:
        rest, silent_bytes = "", 0
        for text in self._texts:
            rest += text
            # A lone CR at the very end may be the first half of CRLF.
            newline = rest.rfind("\n")
            cut = max(newline, rest.rfind("\r", newline + 1, -1)) + 1
            before = self._read + len(self._rows)
            lines, rest = plain_lines(rest[:cut]), rest[cut:]
            yield self._followed(lines)
            is_silent = self._read + len(self._rows) == before
            silent_bytes = silent_bytes + _utf8_bytes(lines) if is_silent else 0
            if silent_bytes + _utf8_bytes(rest) > self._reading.max_row_bytes:
                raise row_too_large(self._reading.max_row_bytes)
            if not is_silent:
                self._trail.forget()
        if not self._reading.is_beginning or rest.endswith("\r"):
            yield self._followed(plain_lines(rest))

    def _followed(self, lines: str) -> Iterable[str]:
        """The lines of a text, which is kept in case that a record of it has to be repaired."""
        if not has_short_lines(lines) and lines.count(self._found.delimiter) >= MAX_CELLS:
            self._check_width(lines)
        self._trail.add(lines, self._first_line + self._reader.line_num)
        self._block_characters += len(lines)
        if self._block_characters > BLOCK_CHARACTERS:
            self._block_rows = 1
        if len(lines) > BLOCK_CHARACTERS and count_lines(lines) <= 1 and lines.endswith(("\n", "\r")):
            # One long line need not be copied two more times.
            return (lines,)
        return lines_of(lines)

    def _check_width(self, lines: str) -> None:
        for line in lines_of(lines):
            if end_of_cells(line, self._found.delimiter, self._found.skip_initial_space) is not None:
                raise RowTooLarge(
                    f"A row has more than {MAX_CELLS} cells; a table may have {MAX_COLUMNS} columns. Is the delimiter "
                    "that was found, or given, the right one?"
                )

    def _salvaged(self, error: csv.Error) -> list[list[str]]:
        """What becomes of the record in which the reader has stopped; nothing where a beginning of a file ends.

        :raises RowTooLarge, MalformedInput: when nothing that follows could be read.
        """
        problem = str(error)
        if problem.startswith("field larger"):
            raise row_too_large(self._reading.max_row_bytes) from error
        done, line = self._located
        line += sum(map(height_of, self._rows[done:]))
        end = self._first_line + self._reader.line_num
        if problem.startswith("unexpected end"):
            if self._reading.is_beginning:
                return []
            raise self._unclosed_quote(self._trail.text(line, end), line)
        self._located = (len(self._rows) + 1, end)
        text = self._trail.text(line, end)
        where = f"on line {end - 1}" + (f"; the record begins on line {line}" if line < end - 1 else "")
        message = f"Text follows a closing quote {where}. A quote within a quoted cell is written twice."
        return [self._repaired.cells(text) or Refused([text.rstrip("\r\n")], Malformed(message), end - line)]

    def _unclosed_quote(self, text: str, line: int) -> MalformedInput:
        """Names the line of the quote, which may come after the beginning of its record."""
        found, lines = self._found, lines_of(text)
        [*cells, _] = next(csv.reader(lines, delimiter=found.delimiter, quotechar=found.quote), [""])
        return unclosed_quote(line + height(cells) - 1)


class _Trail:
    def __init__(self) -> None:
        self._texts: list[str] = []
        self._first_lines: list[int] = []
        self._joined = ""
        self._lines: Iterator[str] | None = None
        self._line = self._at = 0  #: how far records have been looked at: line, and place in the joined text

    def add(self, text: str, first_line: int) -> None:
        self._texts.append(text)
        self._first_lines.append(first_line)
        self._joined, self._lines = "", None

    def forget(self) -> None:
        """All but the last text, in which a record ends: no open one begins earlier."""
        del self._texts[:-1], self._first_lines[:-1]

    def text(self, line: int, end: int) -> str:
        """The lines from `line` up to `end`; never lines before those of the last call."""
        if self._lines is None:
            self._joined = "".join(self._texts)
            self._lines = lines_of(self._joined)
            self._line, self._at = self._first_lines[0], 0
        # Half a million lines of one letter would take thirty megabytes as strings.
        start = self._at + sum(map(len, islice(self._lines, line - self._line)))
        self._at = start + sum(map(len, islice(self._lines, end - line)))
        self._line = end
        return self._joined[start : self._at]


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
