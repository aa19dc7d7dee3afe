"""Where the cells of a line end, told without splitting it: a megabyte of commas takes fifteen as so many cells."""

import re
from typing import Final

from dataflow.formats.tables.cells import MAX_COLUMNS

#: A row of more cells is not even split. Up to here one with too many is one bad row.
MAX_CELLS: Final = 4 * MAX_COLUMNS


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
