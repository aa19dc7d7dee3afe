"""The rows of a sheet, and the texts that all sheets share, taken from the events of their XML.

What cells mean is left to `workbook`.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Generic, NamedTuple

from dataflow.errors import MalformedInput
from dataflow.formats.block import Item, emptied
from dataflow.formats.tables.cells import MAX_COLUMNS
from dataflow.formats.xlsx.contents import MAIN
from dataflow.formats.xlsx.package import Part
from dataflow.formats.xlsx.xml_events import MAX_DEPTH, Attributes, Enough, Events, parsed, too_deep

MAX_ROWS: Final = 1024**2

_DATA, _ROW, _CELL, _VALUE, _FORMULA = (f"{MAIN}{name}" for name in ("sheetData", "row", "c", "v", "f"))
_STRINGS, _STRING, _INLINE, _TEXT, _PRONOUNCED = (f"{MAIN}{name}" for name in ("sst", "si", "is", "t", "rPh"))
_LEAVES: Final = frozenset((_VALUE, _TEXT, _FORMULA))
#: The parser gives these objects themselves, so that comparing them does not look at their sixty letters.
_NAMES: Final = (_DATA, _ROW, _CELL, _VALUE, _FORMULA, _STRINGS, _STRING, _INLINE, _TEXT, _PRONOUNCED, "r", "s", "t")
_DIGITS: Final = "0123456789"


#: A cell that is not empty: its column, from 1; its kind (ECMA-376 part 1, 18.18.11), or ""; the number of its style,
#: or ""; its value as it is written, or the text of an inlineStr; its formula.
Cell = tuple[int, str, str, str | None, str | None]


class Row(NamedTuple):
    """A row and its cells that are not empty; `cell_count` counts the others as well."""

    number: int
    cell_count: int
    cells: list[Cell]


def rows(part: Part) -> Iterator[Row]:
    """The rows of a sheet.

    :raises RowTooLarge: when one is too large.
    :raises MalformedInput: when there are more rows or columns than a sheet can have, and as `parsed`.
    """
    return _found(part, _RowEvents())


def strings(part: Part) -> Iterator[str]:
    """The texts that all sheets share, in order, without how they are pronounced.

    :raises RowTooLarge, MalformedInput: when one is too large, and as `parsed`.
    """
    return _found(part, _StringEvents())


class _SheetEvents(Events, Generic[Item]):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Item] = []
        self._joined: list[str] = []
        self._pronounced = 0  #: how deep it is in texts that say how others are pronounced


def _found(part: Part, events: _SheetEvents[Item]) -> Iterator[Item]:
    for _ in parsed(part, events, _NAMES):
        if events.found:
            part.end_item()
            yield from emptied(events.found)


class _StringEvents(_SheetEvents[str]):
    def start(self, tag: str, attributes: Attributes) -> None:
        super().start(tag, attributes)
        if tag == _STRING:
            self._joined.clear()
        elif tag == _PRONOUNCED:
            self._pronounced += 1

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag == _TEXT:
            if not self._pronounced:
                self._joined += self.texts
        elif tag == _STRING:
            self.found.append("".join(self._joined))
            self._joined.clear()
            self.texts.clear()
        elif tag == _PRONOUNCED:
            self._pronounced -= 1
        elif tag == _STRINGS:
            raise Enough


class _RowEvents(_SheetEvents[Row]):
    """Calls as little as it can: `start` and `end` are called for millions of elements."""

    def __init__(self) -> None:
        super().__init__()
        self._row_count = self._number = self._cell_count = self._column = 0
        self._is_inside = self._is_in_row = False
        self._cells: list[Cell] = []
        self._cell: Attributes = {}
        self._value: str | None = None
        self._formula: str | None = None
        self._clear_texts = self.texts.clear

    def start(self, tag: str, attributes: Attributes) -> None:
        self.depth = depth = self.depth + 1
        if depth > MAX_DEPTH:
            raise too_deep()
        self._clear_texts()
        if tag == _CELL:
            self._cell = attributes
            self._value = self._formula = None
        elif tag != _VALUE and tag not in _LEAVES:
            self._start_other(tag, attributes)

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag == _VALUE:
            texts = self.texts
            self._value = texts[0] if len(texts) == 1 else "".join(texts)
        elif tag == _CELL:
            if self._is_in_row:
                self._cell_count = count = self._cell_count + 1
                if count > MAX_COLUMNS:
                    raise MalformedInput(f"A row of the sheet has {count} cells, the limit is {MAX_COLUMNS}.")
                get = self._cell.get
                place = get("r")
                self._column = at = column(place.rstrip(_DIGITS)) if place else self._column + 1
                value, formula = self._value, self._formula
                if value is not None or formula is not None:
                    self._cells.append((at, get("t", ""), get("s", ""), value, formula))
        elif tag == _TEXT:
            if not self._pronounced:
                self._joined += self.texts
        else:
            self._end_other(tag)

    def _start_other(self, tag: str, attributes: Attributes) -> None:
        if tag == _ROW:
            self._begin_row(attributes)
        elif tag == _INLINE:
            self._joined.clear()
        elif tag == _PRONOUNCED:
            self._pronounced += 1
        elif tag == _DATA:
            self._is_inside = True

    def _end_other(self, tag: str) -> None:
        if tag == _INLINE:
            self._value = "".join(self._joined)
        elif tag == _ROW:
            self._end_row()
        elif tag == _FORMULA:
            self._formula = "".join(self.texts)
        elif tag == _PRONOUNCED:
            self._pronounced -= 1
        elif tag == _DATA:
            raise Enough  # what follows is about looks, and may be as long as the sheet

    def _begin_row(self, attributes: Attributes) -> None:
        if not self._is_inside or self._is_in_row:
            return
        self._is_in_row = True
        self._row_count += 1
        self._number = int(float(attributes.get("r") or self._number + 1))  # some write 2.0
        if not (0 < self._number <= MAX_ROWS and self._row_count <= MAX_ROWS):
            raise MalformedInput(f"The sheet has rows beyond {MAX_ROWS}, the last that there can be.")
        self._cells, self._cell_count, self._column = [], 0, 0

    def _end_row(self) -> None:
        if self._is_in_row:
            self.found.append(Row(self._number, self._cell_count, self._cells))
        self._is_in_row = False


@lru_cache(2048)
def column(letters: str) -> int:
    """The number of a column, from 1.

    :raises ValueError, MalformedInput: when these are no letters, or beyond the last column.
    """
    if not (letters.isascii() and letters.isalpha()):
        raise ValueError(letters)
    number = 0
    for letter in letters[:4].upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    if number > MAX_COLUMNS:
        raise MalformedInput(f"A cell of the sheet stands in column {letters[:4]}, the last that there can be is XFD.")
    return number
