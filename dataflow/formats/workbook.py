"""The first visible sheet of an XLSX workbook, row by row, in memory that does not grow with it.

openpyxl finds the sheet, knows the styles that make a number a date, and reads the rows. Its documented way to read
keeps all texts and something of every row: 77 MiB for 100,000 rows. python-calamine is ten times as fast, but holds
the whole sheet, and ends the process when a sheet has two cells in opposite corners.
"""

import datetime
import re
import warnings
from collections.abc import Iterator
from typing import IO, Any, Final
from xml.etree.ElementTree import Element, iterparse

from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.worksheet._reader import DATA_TAG, ROW_TAG, WorkSheetParser
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

from dataflow.errors import MalformedInput
from dataflow.formats.package import BoundedReads, Package, Part
from dataflow.formats.shared_strings import SharedStrings

#: A sheet of 1,048,576 rows, the most that Excel knows, has 214 MB of XML with 5 columns, and up to 1 GB with 20.
MAX_SHEET_BYTES: Final = 1024**3
#: It takes as much of the disk.
MAX_STRINGS_BYTES: Final = 512 * 1024**2
#: The last column that Excel knows is XFD.
MAX_COLUMNS: Final = 16384

_STRING_TAG, _TEXT_TAG = f"{{{SHEET_MAIN_NS}}}si", f"{{{SHEET_MAIN_NS}}}t"
_STRINGS_TAG: Final = f"{{{SHEET_MAIN_NS}}}sst"
#: Whole numbers up to here are exact as floats, and written without an exponent.
_EXACT: Final = 2**53
_ESCAPE: Final = re.compile("_x([0-9A-Fa-f]{4})_")

# It warns of charts, styles and dates that it cannot keep, which nobody wants to.
warnings.filterwarnings("ignore", module="openpyxl")


class Sheet:
    """The first visible sheet of a workbook.

    Its texts go to `texts_file`, which is empty. Raises whatever openpyxl does at what is damaged, MalformedInput when
    there is no sheet, and ExpandsTooFar.
    """

    def __init__(self, file: IO[bytes], texts_file: IO[bytes], max_row_bytes: int, max_expanded_bytes: int) -> None:
        self._max_row_bytes = max_row_bytes
        self._max_expanded_bytes = max_expanded_bytes
        bounded: Any = BoundedReads(file)
        self._reader = ExcelReader(bounded, read_only=True, data_only=True, keep_links=False)
        self._package = self._reader.archive = Package(bounded)
        self._reader.read_manifest()
        self._reader.read_workbook()
        apply_stylesheet(self._package, self._reader.wb)
        self.title, self._part_name = self._find()
        self._strings = SharedStrings(self._texts(), texts_file, max_row_bytes)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The numbers, from 1, and cells of the rows that are not empty, up to the last cell with a value.

        :raises RowTooLarge: when a row is larger than MAX_ROW_BYTES.
        """
        part = self._part(self._part_name, MAX_SHEET_BYTES)
        parser = self._parser()
        rows = None
        for event, element in iterparse(part, ("start", "end")):  # noqa: S314  # Part refuses document types
            if event == "start":
                rows = element if element.tag == DATA_TAG else rows
            elif element.tag == ROW_TAG and rows is not None:
                part.end_item()
                if cells := self._cells(parser, element):
                    yield parser.row_counter, cells
                rows.clear()
                parser.row_dimensions.clear()
            elif element.tag == DATA_TAG:
                return  # what follows is about looks, and as long as the sheet: links, rules, merged cells

    def _find(self) -> tuple[str, str]:
        """The title of the sheet, and the name of its part."""
        sheets = [
            (sheet, link.target)
            for sheet, link in self._reader.parser.find_sheets()
            if link.Type.endswith("/worksheet")
        ]
        if not sheets:
            raise MalformedInput("The workbook has no sheet. Save it as .xlsx (not Strict Open XML) or as CSV.")
        sheet, name = next((each for each in sheets if each[0].state == "visible"), sheets[0])
        return str(sheet.name), str(name)

    def _part(self, name: str, max_bytes: int) -> Part:
        return self._package.part(name, min(max_bytes, self._max_expanded_bytes), self._max_row_bytes)

    def _parser(self) -> Any:
        book = self._reader.wb
        return WorkSheetParser(
            None,
            self._strings,
            data_only=True,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )

    def _texts(self) -> Iterator[str]:
        """The texts that all sheets share, in order."""
        listed = self._reader.package.find(SHARED_STRINGS)
        if listed is None:
            return
        part = self._part(listed.PartName[1:], MAX_STRINGS_BYTES)
        texts = None
        for event, element in iterparse(part, ("start", "end")):  # noqa: S314  # Part refuses document types
            if event == "start":
                texts = element if element.tag == _STRINGS_TAG else texts
            elif element.tag == _STRING_TAG and texts is not None:
                part.end_item()
                is_plain = len(element) == 1 and element[0].tag == _TEXT_TAG
                yield (element[0].text or "") if is_plain else Text.from_tree(element).content
                texts.clear()

    def _cells(self, parser: Any, row: Element) -> list[str]:
        if len(row) > MAX_COLUMNS:
            raise MalformedInput(f"A row of the sheet has {len(row)} cells, the limit is {MAX_COLUMNS}.")
        if not any(map(len, row)):
            # Only formatted, as a whole column may be down to the last row.
            del row[:]
        self._strings.begin_row()
        _, parsed = parser.parse_row(row)
        while parsed and parsed[-1]["value"] is None:
            parsed.pop()
        cells = [""] * max((cell["column"] for cell in parsed), default=0)
        for cell in parsed:
            cells[cell["column"] - 1] = _text(cell["value"])
        return cells


def _text(value: object) -> str:
    """A cell as its user sees it, as far as that does not depend on formats."""
    if isinstance(value, str):
        return _ESCAPE.sub(_unescape, value) if "_x" in value else value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return (value.date() if value.time() == datetime.time() else value).isoformat()
    return str(value)


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))
