"""Addresses in cells that should be headers: they tell that a row is a contact, which no message may repeat."""

import re
from collections.abc import Iterable
from typing import Final

#: A cell that is an address and nothing else, or has one in angle brackets: no prose that mentions one.
is_address = re.compile(r"(?:[^@<]*<)?[^\s@<>]+@[^\s@<>]+>?").fullmatch
_EXAMPLE = re.compile(
    r"""(?: [(\[{"'] [^\s@<>()\[\]{}"']{1,64} @ [^\s@<>()\[\]{}"']+ [)\]}"']
        | (?: \. | \b(?:as|like|eg|ex)\b )[ ][^\s@<>]{1,64} @ [^\s@<>]+ )""",
    re.IGNORECASE | re.VERBOSE,
)
_QUOTES: Final = " =\"'"
_has_address = re.compile(r"[^\s@<>]@[^\s@<>.]+\.[^\s@<>]").search


def has_contact(cells: Iterable[str]) -> bool:
    """Whether one has an address that is not given as an example, as in `E-mail (me@example.com)`."""
    return any(
        "@" in cell and (is_address(cell.strip(_QUOTES)) or _has_address(_EXAMPLE.sub("", cell))) for cell in cells
    )


def shown(cells: Iterable[str], characters: int = 40) -> str:
    """What a message says of a row that should name columns."""
    cells = [*cells]
    if has_contact(cells):
        return "an e-mail address (which is not repeated here)"
    return ", ".join(cell.strip()[:characters] for cell in cells)
