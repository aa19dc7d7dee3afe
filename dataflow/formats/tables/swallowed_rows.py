"""Rows that an open quote has drawn into a cell of another row: that row is refused, so that they are not lost."""

from collections.abc import Sequence
from typing import Final

from dataflow.formats.block import Malformed
from dataflow.formats.columns.contact_columns import is_address
from dataflow.formats.tables.cells import DELIMITERS, Refused, height

_PROBLEM: Final = Malformed("A quoted cell holds lines that look like rows. Is the quote missing that closes it?")


def places(rows: list[list[str]], width: int) -> list[int]:
    # Nearly no cell has both.
    suspects = [row for row in rows for text in row if "@" in text and ("\n" in text or "\r" in text)]
    if not any(_has_swallowed(row, width) for row in suspects):
        return []
    return [at for at, row in enumerate(rows) if _has_swallowed(row, width)]


def refused(rows: list[list[str]], places: Sequence[int]) -> list[list[str]]:
    if places:
        rows = rows.copy()
    for at in places:
        rows[at] = Refused(rows[at], _PROBLEM, height(rows[at]))
    return rows


def _has_swallowed(row: list[str], width: int) -> bool:
    """Whether a cell goes on over lines with as many cells as the header row, an address among them."""
    return type(row) is not Refused and any(
        is_address(cell.strip())
        for text in row
        for line in text.splitlines()[1:]
        if "@" in line
        for delimiter in DELIMITERS
        if line.count(delimiter) == width - 1 > 0
        for cell in line.split(delimiter)
    )
