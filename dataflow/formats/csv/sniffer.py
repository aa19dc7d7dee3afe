"""Finds the delimiter, the header row and what stands before it, and the columns that the header row has.

The header row is the first record, as any of the delimiters would have it, with a name and an e-mail.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice, takewhile
from math import inf
from typing import Final

from dataflow.errors import MalformedInput, MissingColumns, NoContacts
from dataflow.formats.columns import contact_columns
from dataflow.formats.csv.dialect import Dialect, row_too_large, unclosed_quote
from dataflow.formats.csv.records import Record, after_lines, common_width, complete_lines, lines_of, records_of
from dataflow.formats.reading import Reading
from dataflow.formats.signs import plain_lines
from dataflow.formats.tables.cells import DELIMITERS, MAX_COLUMNS, height
from dataflow.formats.tables.header_search import MAX_RECORDS, HeaderSearch
from dataflow.formats.tables.other_tables import contacts_above

#: Cells with blanks before a quote are looked for in the whole text, so only so many.
MAX_SPACED_CELLS: Final = 10
#: A first line that names the delimiter, as spreadsheets write and read it.
_SEPARATOR_LINE: Final = re.compile(r'"?sep=([^"\w\r\n])"?[ \t]*(?:[\r\n]|\Z)', re.IGNORECASE)


#: The byte order mark of UTF-8, taken for cp1252 by the program that saved the text once more.
_GARBLED_MARK: Final = "ï»¿"


def find(text: str, reading: Reading, is_whole: bool, first_line: int = 1) -> Dialect | None:
    """How to read the content that begins with `text`, None when more of it is needed.

    :param text: may be cut anywhere unless it `is_whole`; its first line has the number `first_line`.
    :raises MissingColumns, AmbiguousColumns: when there is no header row, or contacts stand above it.
    """
    beginning = _Beginning(text, reading, is_whole, first_line)
    return beginning.find() or (beginning.settle() if is_whole or beginning.is_enough() else None)


def settle(text: str, reading: Reading, is_whole: bool, first_line: int = 1) -> Dialect:
    """The same when nothing more is to be had.

    :raises NoContacts: when there is nothing but blank lines.
    :raises MalformedInput: when a quote is never closed, and no header row comes before.
    :raises RowTooLarge: when not even the first row is complete.
    """
    return _Beginning(text, reading, is_whole, first_line).settle()


class _Beginning:
    """The beginning of a text, as each delimiter would split it."""

    def __init__(self, text: str, reading: Reading, is_whole: bool, first_line: int) -> None:
        separator = _SEPARATOR_LINE.match(text) if first_line == 1 else None
        self._reading = reading
        self._is_whole = is_whole
        skipped_lines = max((reading.skip_rows or 0) - (first_line - 1), 0)
        self._text = plain_lines(after_lines(text, skipped_lines)).removeprefix(_GARBLED_MARK)
        self._first_line = first_line + skipped_lines
        fixed = reading.delimiter or (separator and separator[1])
        self._delimiters = (fixed,) if fixed else DELIMITERS
        self._wanted = MAX_RECORDS if reading.skip_rows is None else 1
        self._found: Dialect | None = None
        self._last_line = inf  #: of those on which a header may begin
        self._records: dict[str, list[Record]] = {}  #: by delimiter, as far as `find` had to look
        self._single: dict[str, list[Record]] = {}  #: by delimiter, each line alone
        self._open: dict[str, Record] = {}  #: of the delimiters by which the text ends within a quoted cell
        self._search = HeaderSearch(reading.mapping)
        self._too_wide: Record | None = None  #: the first that would have been looked at, had it fewer cells

    def find(self) -> Dialect | None:
        """The header that comes first; of several on one line, the one with the most columns."""
        if not self._records:
            text = complete_lines(self._text, self._is_whole)
            self._found = self._best((self._header(each, text) for each in self._delimiters), self._records)
        return self._found

    def is_enough(self) -> bool:
        return all(len(records) >= self._wanted for records in self._records.values())

    def settle(self) -> Dialect:
        if found := self.find() or self._find_by_line():
            return found
        if self._search.ambiguous:
            raise self._search.ambiguous
        if not self._text.strip():
            raise NoContacts("The file is empty: expected a header row naming name and email.")
        if self._too_wide:
            self._check_size(self._too_wide.cells)
            line = self._too_wide.line
            raise MissingColumns(f"No header row: line {line} has more than {MAX_COLUMNS} columns, too many for one.")
        delimiter = self._most_plausible()
        self._check_closed(delimiter)
        records = self._records[delimiter] or self._lines(delimiter) or [Record(self._first_line, [self._text])]
        width = common_width([record.cells for record in records])[2]
        likely = next((record for record in records if len(record.cells) == width), records[0])
        self._check_size(likely.cells)
        columns = contact_columns.require(likely.cells, self._reading.mapping)
        return Dialect(delimiter, likely.line, likely.cells, columns)

    def _header(self, delimiter: str, text: str) -> Dialect | None:
        found = self._first_header(delimiter, self._split(text, delimiter))
        if self._has_initial_space(delimiter, text, found.header_line if found else self._first_line):
            return self._first_header(delimiter, self._split(text, delimiter, True), True) or found
        return found

    def _has_initial_space(self, delimiter: str, text: str, line: int) -> bool:
        """Whether blanks stand between a delimiter and a quote; within quotes they belong to the cell."""
        if delimiter == " " or not re.search(f'{re.escape(delimiter)} +"', text):
            return False
        records = islice(records_of(lines_of(after_lines(text, line - self._first_line)), delimiter, line), MAX_RECORDS)
        cells = (cell for record in records if not record.is_open for cell in record.cells[1:])
        spaced = (cell for cell in cells if cell.startswith(" ") and cell.lstrip(" ").startswith('"'))
        return any(delimiter + cell in text for cell in islice(spaced, MAX_SPACED_CELLS))

    def _first_header(
        self, delimiter: str, records: Iterable[Record], skip_initial_space: bool = False
    ) -> Dialect | None:
        header: Dialect | None = None
        near = takewhile(lambda record: record.line <= self._last_line, records)
        rows = ((record.line, record.cells) for record in near)
        for (line, cells), columns in self._search.candidates(rows):
            self._check_size(cells)
            self._check_quotes(line, cells, delimiter, skip_initial_space)
            header = Dialect(delimiter, line, cells, columns, skip_initial_space)
        return header

    def _find_by_line(self) -> Dialect | None:
        """The header when each line is taken alone: an open quote above may have swallowed it."""
        return self._best((self._first_header(each, self._lines(each)) for each in self._delimiters), self._single)

    def _best(self, found: Iterable[Dialect | None], records: dict[str, list[Record]]) -> Dialect | None:
        best: Dialect | None = None
        for header in found:
            if header and (not best or _order(header) < _order(best)):
                best = header
                # By other delimiters, what comes later need not be looked at.
                self._last_line = inf if best.columns.is_qualified else best.header_line
        if not best:
            return None
        contact_columns.check_header(best.header_line, best.header)
        rows = ((record.line, record.cells) for record in records[best.delimiter])
        return replace(best, above=tuple(contacts_above(best.header_line, len(best.header), rows)))

    def _split(self, text: str, delimiter: str, skip_initial_space: bool = False) -> Iterator[Record]:
        self._records[delimiter] = found = []
        self._open.pop(delimiter, None)
        for record in records_of(lines_of(text), delimiter, self._first_line, skip_initial_space):
            if record.is_open:
                self._open[delimiter] = record
            elif len(record.cells) > MAX_COLUMNS:
                self._too_wide = self._too_wide or record
            else:
                found.append(record)
                yield record
            if len(found) == self._wanted:
                break

    def _lines(self, delimiter: str) -> list[Record]:
        if delimiter not in self._single:
            lines = (each for each in enumerate(lines_of(self._text), self._first_line) if each[1].strip())
            first = islice(lines, self._wanted)
            found = chain.from_iterable(records_of([text], delimiter, line) for line, text in first)
            self._single[delimiter] = [each for each in found if not each.is_open and len(each.cells) <= MAX_COLUMNS]
        return self._single[delimiter]

    def _most_plausible(self) -> str:
        widths = {each: common_width([record.cells for record in self._lines(each)]) for each in self._delimiters}
        return max(self._delimiters, key=lambda each: widths[each])

    def _check_closed(self, delimiter: str) -> None:
        if self._is_whole and (record := self._open.get(delimiter)):
            raise unclosed_quote(record.line) if record.cells else row_too_large(self._reading.max_row_bytes)

    def _check_size(self, cells: list[str]) -> None:
        if sum(map(len, cells)) >= self._reading.max_row_bytes:
            raise row_too_large(self._reading.max_row_bytes)

    def _check_quotes(self, first_line: int, cells: list[str], delimiter: str, skip_initial_space: bool) -> None:
        """An open quote makes the first rows part of the header, and would lose them."""
        if (lines := height(cells)) == 1:
            return
        text = islice(lines_of(after_lines(self._text, first_line - self._first_line)), lines)
        reader = csv.reader(text, delimiter=delimiter, skipinitialspace=skip_initial_space, strict=True)
        try:
            next(reader)
        except csv.Error as error:
            line = first_line + reader.line_num - 1
            raise MalformedInput(
                f"Text follows a closing quote on line {line}; the header row begins on line {first_line}. Is a quote "
                "missing there?"
            ) from error


def _order(found: Dialect) -> tuple[bool, int, int]:
    """Plain names come before qualified ones, which may be labels in the head of a report."""
    return found.columns.is_qualified, found.header_line, -len(found.header)
