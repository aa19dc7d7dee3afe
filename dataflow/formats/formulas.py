"""Cells that spreadsheets would run as formulas: how an export of ours guards them, and an import takes guards off.

A guard is one apostrophe before the cell. The last column of such an export names the cells of its row that have one:
any other apostrophe belongs to its value, as `'+a@b.co` is an address.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

COLUMN: Final = "_quoted"
GUARD: Final = "'"
#: What such a cell begins with. All of it is before `A` in the order of code points, which rules most cells out.
OPENINGS: Final = "=+-@\t\r"
#: The same for Postgres.
PATTERN: Final = "^[=+@\t\r-]"
_GUARDED: Final = tuple(GUARD + sign for sign in OPENINGS)


@dataclass(frozen=True, slots=True)
class Guards:
    column: int  #: which names the cells
    positions: dict[str, int]  #: of the columns that it may name

    @classmethod
    def of(cls, header: Sequence[str]) -> Self | None:
        """Those of a table with this header row; None when it has no such column."""
        titles = [title.strip() for title in header]
        if COLUMN not in titles:
            return None
        return cls(titles.index(COLUMN), {title: at for at, title in enumerate(titles)})

    def take_off(self, rows: Iterable[list[str]]) -> None:
        """Changes the rows; what somebody has written anew has no guard, and stays."""
        column = self.column
        for row in rows:
            if len(row) > column and row[column]:
                for title in row[column].split():
                    at = self.positions.get(title, len(row))
                    if at < len(row) and row[at].startswith(_GUARDED):
                        row[at] = row[at][len(GUARD) :]
