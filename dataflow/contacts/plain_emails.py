"""Which addresses of a column are plain, so that the schema surely accepts them: looked for in the column as one text.

A call of a pattern for each address takes twice as long.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

#: What is plain, wherever its signs are, and so short that no part of an address can be too long.
_OUTLINE: Final = r"[a-zA-Z0-9_+.-]{1,64}@[a-zA-Z0-9.-]{1,63}\.[a-zA-Z]{2,63}"
_MAX_CHARACTERS: Final = 64 + 1 + 63 + 1 + 63
#: Where its signs may be. Double hyphens, which IDNA reserves, go to the schema.
_PLAIN: Final = re.compile(
    rf"(?= {_OUTLINE} \Z)"
    r"[a-zA-Z0-9_+-]+ (?: \. [a-zA-Z0-9_+-]+ )* @ [a-zA-Z0-9]+ (?: [.-] [a-zA-Z0-9]+ )* \. [a-zA-Z]{2,}",
    re.VERBOSE,
).fullmatch
#: The line end before each line that has another outline. With the repeated groups of the above it takes twice as long.
_BEFORE_OTHERS: Final = re.compile(rf"\n(?!{_OUTLINE}\n|\Z)").finditer


def is_plain(address: str) -> bool:
    return _PLAIN(address) is not None


def find_others(addresses: Sequence[str]) -> list[int]:
    """The rows whose addresses are not plain, ascending."""
    suspects: Iterable[int] = range(len(addresses))
    joined = "".join(addresses)
    # Megabytes are not copied some times more to find out that they are no addresses.
    if "\n" not in joined and len(joined) <= _MAX_CHARACTERS * len(addresses):
        suspects = _suspects("\n" + "\n".join([*addresses, ""]))
    return [row for row in suspects if not is_plain(addresses[row])]


def _suspects(lines: str) -> list[int]:
    """The rows whose lines have another outline, or signs side by side, which may be right between hyphens."""
    others = (match.start() for match in _BEFORE_OTHERS(lines))
    return sorted({*_rows_at(others, lines), *_rows_at(_side_by_side(lines), lines)})


def _side_by_side(lines: str) -> Iterator[int]:
    """Where the first two signs side by side are in each line; its ends count as signs."""
    signs = lines.replace("@", ".").replace("-", ".").replace("\n", ".")
    at = signs.find("..")
    while at >= 0:
        yield at
        at = signs.find("..", lines.index("\n", at + 1))


def _rows_at(places: Iterable[int], lines: str) -> Iterator[int]:
    """The rows of ascending places; that of a line end is the row behind it."""
    row, counted = -1, 0
    for place in places:
        row += lines.count("\n", counted, place + 1)
        counted = place + 1
        yield row
