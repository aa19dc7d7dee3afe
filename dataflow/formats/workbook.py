"""The first visible sheet of an XLSX workbook, row by row, in memory that does not grow with it.

Of openpyxl only the knowledge of dates is used: which formats show them, and what their numbers mean. Its way to read
keeps all texts and something of every row (77 MiB for 100,000 rows), and takes seconds for a few hostile KB.
python-calamine is ten times as fast, but holds the whole sheet, and ends the process when a sheet has two cells in
opposite corners.
"""

import datetime
import re
from collections.abc import Iterator
from functools import lru_cache
from math import inf
from typing import IO, Final
from xml.etree.ElementTree import Element, iterparse

from openpyxl.styles.numbers import builtin_format_code, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904, WINDOWS_EPOCH, from_excel

from dataflow.errors import MalformedInput
from dataflow.formats import contents
from dataflow.formats.contents import MAIN
from dataflow.formats.package import Package, Part
from dataflow.formats.runs import MAX_COLUMNS
from dataflow.formats.shared_strings import SharedStrings
from dataflow.storable import MARK

#: A sheet of 1,048,576 rows, the most that Excel knows, has 214 MB of XML with 5 columns, and up to 1 GB with 20.
MAX_SHEET_BYTES: Final = 1024**3
#: It takes as much of the disk.
MAX_STRINGS_BYTES: Final = 512 * 1024**2
#: The last that Excel knows.
MAX_ROWS: Final = 1024**2

_DATA_TAG, _ROW_TAG, _VALUE_TAG, _FORMULA_TAG = f"{MAIN}sheetData", f"{MAIN}row", f"{MAIN}v", f"{MAIN}f"
_STRINGS_TAG, _STRING_TAG, _INLINE_TAG = f"{MAIN}sst", f"{MAIN}si", f"{MAIN}is"
_RUN_TAG, _TEXT_TAG = f"{MAIN}r", f"{MAIN}t"
_DIGITS: Final = "0123456789"
#: Whole numbers up to here are exact as floats, and written without an exponent.
_EXACT: Final = 2**53
_ESCAPE: Final = re.compile("_x([0-9A-Fa-f]{4})_")


class Sheet:
    """The first visible sheet of a workbook.

    Its texts go to `texts_file`, which is empty. Raises LookupError, ValueError and the errors of zipfile and of the
    XML parser at what is damaged, MalformedInput when there is no sheet, and ExpandsTooFar.
    """

    def __init__(self, file: IO[bytes], texts_file: IO[bytes], max_row_bytes: int, max_expanded_bytes: int) -> None:
        self._max_row_bytes = max_row_bytes
        self._max_expanded_bytes = max_expanded_bytes
        self._package = Package(file)
        self._contents = contents.read(self._package)
        self.title = self._contents.title[:100]  # Excel takes 31 characters
        self._epoch = CALENDAR_MAC_1904 if self._contents.has_1904_dates else WINDOWS_EPOCH
        self._dates = [_shows_date(shown) for shown in self._contents.formats]
        self._strings = SharedStrings(self._texts(), texts_file, max_row_bytes)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The numbers, from 1, and cells of the rows, up to the last one with a value where there is any.

        Errors begin with MARK and #, formulas whose result is not stored with MARK and =: what is refused stays so
        when it is sent back.

        :raises RowTooLarge: when a row is larger than MAX_ROW_BYTES.
        :raises MalformedInput: when there are more rows or columns than a sheet can have.
        """
        part = self._part(self._contents.sheet_part, MAX_SHEET_BYTES)
        number = 0
        for count, row in enumerate(_items(part, _DATA_TAG, _ROW_TAG), 1):
            number = int(float(row.get("r") or number + 1))  # some write 2.0
            if not (0 < number <= MAX_ROWS and count <= MAX_ROWS):
                raise MalformedInput(f"The sheet has rows beyond {MAX_ROWS}, the last that there can be.")
            yield number, self._cells(row)

    def _part(self, name: str, max_bytes: int) -> Part:
        return self._package.part(name, max_bytes, self._max_row_bytes, self._max_expanded_bytes)

    def _texts(self) -> Iterator[str]:
        """The texts that all sheets share, in order."""
        if self._contents.texts_part is not None:
            part = self._part(self._contents.texts_part, MAX_STRINGS_BYTES)
            yield from map(_joined, _items(part, _STRINGS_TAG, _STRING_TAG))

    def _cells(self, row: Element) -> list[str]:
        if len(row) > MAX_COLUMNS:
            raise MalformedInput(f"A row of the sheet has {len(row)} cells, the limit is {MAX_COLUMNS}.")
        if not any(map(len, row)):
            return [""] * len(row)  # only formatted, as a whole column may be down to the last row
        self._strings.begin_row()
        cells: list[str] = []
        column = 0
        for cell in row:
            place = cell.get("r")
            column = _column(place.rstrip(_DIGITS)) if place else column + 1
            value = self._value(cell)
            if value is None:
                continue
            if column > len(cells):
                cells.extend([""] * (column - len(cells)))
            cells[column - 1] = _text(value)
        return cells

    def _value(self, cell: Element) -> object:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            inline = cell.find(_INLINE_TAG)
            return None if inline is None else _joined(inline)
        written = cell.findtext(_VALUE_TAG)
        if not written:
            formula = cell.findtext(_FORMULA_TAG)
            # The result of one may be an empty text: that is stored.
            return None if formula is None or (kind == "str" and written is not None) else f"{MARK}={formula}"
        if kind == "s":
            return self._strings[int(written)]
        if kind == "n":
            return self._number(written, int(cell.get("s") or 0))
        if kind == "b":
            written = "TRUE" if written in ("1", "true") else "FALSE"
        return MARK + written if kind == "e" else written

    def _number(self, written: str, style: int) -> object:
        is_whole = not any(mark in written for mark in ".eE")
        shown = self._dates[style] if 0 <= style < len(self._dates) else None
        try:
            number = int(written) if is_whole else float(written)
            if shown is None:
                return number if abs(number) < inf else f"{MARK}#NUM!"
            return from_excel(number, self._epoch, timedelta=shown == "duration")
        except OverflowError:
            return f"{MARK}#VALUE!"  # outside the limits of dates
        except ValueError:
            return written


def _items(part: Part, parent_tag: str, tag: str) -> Iterator[Element]:
    """The elements `tag` below `parent_tag`, each until the next one is asked for."""
    parent = None
    for event, element in iterparse(part, ("start", "end")):  # noqa: S314  # Part refuses document types
        if event == "start":
            parent = element if element.tag == parent_tag else parent
        elif element.tag == tag and parent is not None:
            part.end_item()
            yield element
            parent.clear()
        elif element.tag == parent_tag:
            return  # what follows is about looks, and as long as the sheet: links, rules, merged cells


@lru_cache(2048)
def _shows_date(shown: int | str) -> str | None:
    """Whether numbers of this format are dates or durations."""
    code = builtin_format_code(shown) if isinstance(shown, int) else shown
    if not is_date_format(code):
        return None
    return "duration" if is_timedelta_format(code) else "date"


@lru_cache(2048)
def _column(letters: str) -> int:
    """The number of a column, from 1."""
    if not (letters.isascii() and letters.isalpha()):
        raise ValueError(letters)
    number = 0
    for letter in letters[:4].upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    if number > MAX_COLUMNS:
        raise MalformedInput(f"A cell of the sheet stands in column {letters[:4]}, the last that there can be is XFD.")
    return number


def _joined(text: Element) -> str:
    """A text without the formats of its runs, and without how it is pronounced."""
    if len(text) == 1 and text[0].tag == _TEXT_TAG:
        return text[0].text or ""
    parts = [part for part in text if part.tag in (_TEXT_TAG, _RUN_TAG)]
    return "".join((part.text if part.tag == _TEXT_TAG else part.findtext(_TEXT_TAG)) or "" for part in parts)


def _text(value: object) -> str:
    """A cell as its user sees it, as far as that does not depend on formats."""
    if isinstance(value, str):
        return _ESCAPE.sub(_unescape, value) if "_x" in value else value
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return (value.date() if value.time() == datetime.time() else value).isoformat()
    return str(value)


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))
