"""Which sheet of a workbook is read: the one asked for, by its name or number, else the first that is visible."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from dataflow.errors import InputError

_MAX_SHOWN, _MAX_SHOWN_CHARACTERS = 20, 40
_NUMBER: Final = re.compile("[1-9][0-9]{0,4}")


class SheetEntry(NamedTuple):
    title: str
    part: str  #: the name of the part that its rows are in
    is_visible: bool


def choose(sheets: Sequence[SheetEntry], wish: str | None) -> SheetEntry:
    """The sheet that `wish` names, without case as in Excel, or the number of a visible sheet, from 1.

    :raises InputError: sheet_not_found when there is none, or more than one.
    """
    shown = [sheet for sheet in sheets if sheet.is_visible] or sheets
    if wish is None:
        return shown[0]
    exact = [sheet for sheet in sheets if sheet.title == wish]
    found = exact or [sheet for sheet in sheets if _compared(sheet.title) == _compared(wish)]
    if len(found) > 1:
        raise InputError(
            f"{len(found)} sheets are called {_quoted(found)}. Write the name as it is, or say its number.",
            code="sheet_not_found",
        )
    if found:
        return found[0]
    if _NUMBER.fullmatch(wish.strip()) and int(wish) <= len(shown):
        return shown[int(wish) - 1]
    name = wish[:_MAX_SHOWN_CHARACTERS]
    raise InputError(
        f'The workbook has no sheet "{name}". It has {_quoted(sheets)}. Say one of these names, or a number from 1 to '
        f"{len(shown)} for those that are not hidden.",
        code="sheet_not_found",
    )


def others(sheets: Iterable[SheetEntry], chosen: SheetEntry) -> str:
    left = [sheet for sheet in sheets if sheet is not chosen]
    return f" The others are {_quoted(left)}: name one with sheet=..." if left else ""


def _compared(title: str) -> str:
    # Phones write apostrophes in another way than Excel.
    return unicodedata.normalize("NFKC", title).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").strip().casefold()


def _quoted(sheets: Sequence[SheetEntry]) -> str:
    named = [
        f'"{sheet.title[:_MAX_SHOWN_CHARACTERS]}"{"" if sheet.is_visible else " (hidden)"}'
        for sheet in sheets[:_MAX_SHOWN]
    ]
    more = f" and {len(sheets) - _MAX_SHOWN} more" if len(sheets) > _MAX_SHOWN else ""
    return ", ".join(named) + more
