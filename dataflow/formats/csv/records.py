"""The first records of a delimited text, as a delimiter would have them."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final
from uuid import uuid4

from dataflow.formats.tables.cells import MAX_COLUMNS, height, is_blank

#: A row of more cells is not even split: a megabyte of commas takes fifteen as cells. Up to here it is one bad row.
MAX_CELLS: Final = 4 * MAX_COLUMNS


@dataclass(frozen=True, slots=True)
class Record:
    line: int  #: where it begins, or, when it is open, where the quote opens that nothing closes
    cells: list[str]  #: none when one of them is over the limit
    is_open: bool = False


def lines_of(text: str) -> Iterator[str]:
    return io.StringIO(text, newline="")


def after_lines(text: str, lines: int) -> str:
    return text[sum(map(len, islice(lines_of(text), lines))) :]


def complete_lines(text: str, is_whole: bool) -> str:
    return text if is_whole else text[: max(text.rfind("\n"), text.rfind("\r")) + 1]


def records_of(
    lines: Iterable[str], delimiter: str, first_line: int, skip_initial_space: bool = False, quote: str = '"'
) -> Iterator[Record]:
    """The records that are not blank; the last one is open when the lines end within a quoted cell."""
    # Swallowed by a cell that is still open, otherwise a record of its own. No delimiter is a letter or a digit.
    end = [uuid4().hex] * 2
    # What is cut off makes no header of a row that is too wide for one.
    narrow = (line[: end_of_cells(line, delimiter, skip_initial_space)] for line in lines)
    reader = csv.reader(
        chain(narrow, [delimiter.join(end)]),
        delimiter=delimiter,
        quotechar=quote,
        skipinitialspace=skip_initial_space,
    )
    line = first_line
    try:
        for cells in reader:
            if cells and cells[-1].endswith(end[1]):
                if cells != end:
                    yield Record(line + height(cells[:-1]) - 1, cells, is_open=True)
                return
            if not is_blank(cells):
                yield Record(line, cells)
            line = first_line + reader.line_num
    except csv.Error:
        yield Record(line, [], is_open=True)


def common_width(rows: list[list[str]]) -> tuple[int, bool, int]:
    """Of the most frequent number of cells over one: its rows, whether the first has it, and itself."""
    counted = Counter(len(cells) for cells in rows if len(cells) > 1)
    return max(((count, len(rows[0]) == width, width) for width, count in counted.items()), default=(0, False, 1))


def has_short_lines(text: str) -> bool:
    """No line can have too many cells when one ends in the middle. Counting cells takes a twentieth of reading."""
    return len(text) < MAX_CELLS or text.find("\n", len(text) - MAX_CELLS, MAX_CELLS) >= 0


def end_of_cells(line: str, delimiter: str, skip_initial_space: bool = False) -> int | None:
    """Where the first MAX_CELLS of a line end, those within quotes not counted; None when there are no more."""
    if line.count(delimiter) < MAX_CELLS:
        return None
    blanks = " *" if skip_initial_space else ""
    find = re.compile(f'{re.escape(delimiter)}{blanks}("?)').search
    at = _behind_quotes(line, 1) if line.startswith('"') else 0
    for _ in range(MAX_CELLS):
        if (match := find(line, at)) is None:
            return None
        at = _behind_quotes(line, match.end()) if match[1] else match.end()
    return at


def _behind_quotes(line: str, at: int) -> int:
    while (quote := line.find('"', at)) >= 0:
        at = quote + 1
        if not line.startswith('"', at):
            return at
        at += 1
    return len(line)
