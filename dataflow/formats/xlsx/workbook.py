"""A sheet of an XLSX workbook, row by row, in memory that does not grow with it.

Why it is so: of openpyxl only the knowledge of dates is used. Its reader keeps something of every row (77 MiB for
100,000 rows), and takes seconds for a few hostile KB. python-calamine is ten times as fast, but holds the whole sheet,
and ends the process when a sheet has two cells in opposite corners.
"""

import datetime
import re
from collections.abc import Iterator
from functools import lru_cache
from math import inf
from typing import IO, Final

from openpyxl.styles.numbers import builtin_format_code, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904, WINDOWS_EPOCH, from_excel

from dataflow.formats.reading import Reading
from dataflow.formats.xlsx import contents, sheet_choice, sheet_events
from dataflow.formats.xlsx.package import Package, Part
from dataflow.formats.xlsx.shared_strings import SharedStrings
from dataflow.formats.xlsx.sheet_events import Row
from dataflow.text import MARK

#: A full sheet of 1,048,576 rows has 214 MB of XML with 5 columns, and up to 1 GB with 20.
MAX_SHEET_BYTES: Final = 1024**3
MAX_STRINGS_BYTES: Final = 512 * 1024**2
_TEXTS: Final = ("inlineStr", "str")
#: Whole numbers up to here are exact as floats, and written without an exponent.
_EXACT: Final = 2**53
_ESCAPE: Final = re.compile("_x([0-9A-Fa-f]{4})_")


class Sheet:
    """The sheet of a workbook that `reading` asks for, else the first visible one. Its texts go to `texts_file`.

    :raises InputError: sheet_not_found when there is no such sheet; MalformedInput, ExpandsTooFar for a bad workbook.
        What is damaged raises LookupError, ValueError and the errors of zipfile and of the XML parser.
    """

    def __init__(self, file: IO[bytes], texts_file: IO[bytes], reading: Reading) -> None:
        self._reading = reading
        self._package = Package(file, reading.check)
        self._contents = contents.read(self._package)
        self._entry = sheet_choice.choose(self._contents.sheets, reading.sheet)
        self.title = self._entry.title[:100]  # Excel takes 31 characters
        self._epoch = CALENDAR_MAC_1904 if self._contents.has_1904_dates else WINDOWS_EPOCH
        self._dates = [_shows_date(shown) for shown in self._contents.formats]
        self._strings = SharedStrings(self._texts(), texts_file, reading.max_row_bytes)

    def choice(self) -> str:
        """Which sheet is read, and which others there are, for a message."""
        chosen = "This is the sheet" if self._reading.sheet else "Only the first visible sheet is read:"
        return f'{chosen} "{self.title}".{sheet_choice.others(self._contents.sheets, self._entry)}'

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The numbers, from 1, and cells of the rows, up to the last cell with a value.

        Errors begin with MARK and #, formulas without a stored result with MARK and =, so that both are refused when
        they are sent back.

        :raises RowTooLarge, MalformedInput: when a row is too large, or beyond what a sheet can have.
        """
        for row in sheet_events.rows(self._part(self._entry.part, MAX_SHEET_BYTES)):
            yield row.number, self._cells(row)

    def _part(self, name: str, max_bytes: int) -> Part:
        return self._package.part(name, max_bytes, self._reading.max_row_bytes, self._reading.max_expanded_bytes)

    def _texts(self) -> Iterator[str]:
        if self._contents.texts_part is not None:
            yield from sheet_events.strings(self._part(self._contents.texts_part, MAX_STRINGS_BYTES))

    def _cells(self, row: Row) -> list[str]:
        if not row.cells:
            return [""] * row.cell_count  # only formatted, as a whole column may be down to the last row
        self._strings.begin_row()
        cells: list[str] = []
        for column, kind, style, written, formula in row.cells:
            value = written if written and kind in _TEXTS else self._value(kind, style, written, formula)
            if value is None:
                continue
            if column > len(cells):
                cells.extend([""] * (column - len(cells)))
            cells[column - 1] = value if type(value) is str and "_x" not in value else _text(value)
        return cells

    def _value(self, kind: str, style: str, written: str | None, formula: str | None) -> object:
        if kind == "inlineStr":
            return written
        if not written:
            # The result of a formula may be an empty text: that is stored.
            return None if formula is None or (kind == "str" and written is not None) else f"{MARK}={formula}"
        if kind == "s":
            return self._strings[int(written)]
        if kind in ("", "n"):
            return self._number(written, int(style or 0))
        if kind == "b":
            written = "TRUE" if written in ("1", "true") else "FALSE"
        return MARK + written if kind == "e" else written

    def _number(self, written: str, style: int) -> object:
        shown = self._dates[style] if 0 <= style < len(self._dates) else None
        if shown is None and written.isdecimal() and written.isascii() and written[0] != "0":
            return written
        is_whole = not any(mark in written for mark in ".eE")
        try:
            number = int(written) if is_whole else float(written)
            if shown is None:
                return number if abs(number) < inf else f"{MARK}#NUM!"
            return from_excel(number, self._epoch, timedelta=shown == "duration")
        except OverflowError:
            return f"{MARK}#VALUE!"  # outside the limits of dates
        except ValueError:
            return written


@lru_cache(2048)
def _shows_date(shown: int | str) -> str | None:
    code = builtin_format_code(shown) if isinstance(shown, int) else shown
    if not is_date_format(code):
        return None
    return "duration" if is_timedelta_format(code) else "date"


def _text(value: object) -> str:
    if isinstance(value, str):
        return _ESCAPE.sub(_unescape, value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return (value.date() if value.time() == datetime.time() else value).isoformat()
    return str(value)


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))
