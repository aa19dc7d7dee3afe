"""Which columns of a file, or members of a row, make up the name and the e-mail of a contact.

An explicit mapping wins over what `headers` knows. What could be taken in two ways is refused, not guessed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dataflow.errors import AmbiguousColumns, MalformedInput, MissingColumns
from dataflow.formats import headers
from dataflow.formats.headers import Index
from dataflow.formats.reading import Mapping
from dataflow.formats.rows import ABSENT

FIELDS: Final = ("name", "email")
#: What a rejects file has beside the columns of its original; ignored when it is sent back.
REJECTS_COLUMNS: Final = ("_row", "_record", "_line", "_code", "_error")
#: How much of a header row a message or a job shows.
MAX_SHOWN_COLUMNS, MAX_SHOWN_CHARACTERS, MAX_RIVALS = 200, 100, 10

#: A cell that is an address and nothing else, or has one in angle brackets: no prose that mentions one.
_is_address = re.compile(r"(?:[^@<]*<)?[^\s@<>]+@[^\s@<>]+>?").fullmatch
_EXAMPLE = re.compile(
    r"""(?: [(\[{"'] [^\s@<>()\[\]{}"']{1,64} @ [^\s@<>()\[\]{}"']+ [)\]}"']
        | (?: \. | \b(?:as|like|eg|ex)\b )[ ][^\s@<>]{1,64} @ [^\s@<>]+ )""",
    re.IGNORECASE | re.VERBOSE,
)
_has_address = re.compile(r"[^\s@<>]@[^\s@<>.]+\.[^\s@<>]").search

#: Positions of the columns that are joined.
Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """For each field the places to look at, in this order; the first that is not blank counts. Empty: not found."""

    names: tuple[Place, ...]
    emails: tuple[Place, ...]
    reasons: tuple[str, str] = ("", "")  #: why these, for the name and for the e-mail

    @property
    def is_complete(self) -> bool:
        return bool(self.names and self.emails)

    @property
    def used(self) -> frozenset[int]:
        """Positions of all columns that are looked at."""
        return frozenset(position for place in (*self.names, *self.emails) for position in place)

    @property
    def reach(self) -> int:
        """How many cells a row needs, so that none that is looked at is missing."""
        return max(self.used, default=-1) + 1

    def describe(self, header: Sequence[str]) -> dict[str, dict[str, object]]:
        """The mapping as a client sees it: the columns of each field, and why."""
        return {
            field: {
                "columns": [header[at][:MAX_SHOWN_CHARACTERS] for place in places for at in place],
                "reason": reason,
            }
            for field, places, reason in zip(FIELDS, (self.names, self.emails), self.reasons, strict=True)
            if places
        }


def find(header: Sequence[str], mapping: Mapping | None = None, is_table: bool = True) -> Columns:
    """The columns that make up name and e-mail, as far as they are there.

    :param is_table: the header counts for all rows. Without, it is the keys of one row, of which one that is called as
        the field wins alone, and others may have been left out.
    :raises MissingColumns: when `mapping` names what is not there, or there is only half of a name.
    :raises AmbiguousColumns: when several columns claim to be the same.
    """
    places: list[tuple[Place, ...]] = []
    reasons = []
    index = Index(header, mapping or {})
    for field in FIELDS:
        if mapping and field in mapping:
            places.append((tuple(_position(index, field, column) for column in mapping[field]),))
            reasons.append("as given in mapping")
        else:
            found = tuple(_aliased(index, field, is_table))
            places.append(found)
            reasons.append(_reason(header, field, found))
    return Columns(places[0], places[1], (reasons[0], reasons[1]))


def require(header: Sequence[str], mapping: Mapping | None = None) -> Columns:
    """The columns of a header row, which must have both.

    :raises MissingColumns: naming what was found instead.
    :raises AmbiguousColumns: when several columns claim to be the same.
    """
    columns = find(header, mapping)
    if not columns.is_complete:
        lacking = [field for field, places in zip(FIELDS, (columns.names, columns.emails), strict=True) if not places]
        raise MissingColumns(
            f"The header row lacks {' and '.join(lacking)}. It has: {shown(header)}. Rename the columns, or name them "
            'with mapping={"name": "...", "email": "..."}.'
        )
    return columns


def check_above(header_line: int, width: int, rows: Iterable[tuple[int, Sequence[str]]]) -> None:
    """Refuse contacts above the header row, which has `width` cells: as a preamble they would vanish.

    :param rows: the first ones, each with its line.
    :raises AmbiguousColumns: when one above the header is as wide and has an address.
    """
    for line, cells in rows:
        if line < header_line and len(cells) == width and any(_is_address(cell.strip()) for cell in cells):
            raise AmbiguousColumns(
                f"Line {line} looks like a contact, but the header row is line {header_line}. Move that to the top, or "
                f"say skipRows={header_line - 1} to leave out all lines above it."
            )


def check_header(line: int, header: Sequence[str]) -> None:
    """Refuse a header row that a contact is in, because a line end is missing behind it or a quote is left open.

    :raises MalformedInput: when it has an address that is not given as an example, as in `E-mail (me@example.com)`.
    """
    if any("@" in cell and _has_address(_EXAMPLE.sub("", cell)) for cell in header):
        raise MalformedInput(
            f"There is an e-mail address in the header row on line {line}. Is the line end behind that missing, or a "
            "quote left open?"
        )


def ignored(header: Sequence[str], columns: Columns) -> list[str]:
    """The columns that nothing is taken from, as a job names them; without those of a rejects file, and empty ones."""
    others = (cell.strip() for position, cell in enumerate(header) if position not in columns.used)
    named = dict.fromkeys(cell[:MAX_SHOWN_CHARACTERS] for cell in others if cell and cell not in REJECTS_COLUMNS)
    return list(named)[:MAX_SHOWN_COLUMNS]


def shown(header: Sequence[str]) -> str:
    """A header row in a message."""
    return ", ".join(cell.strip()[:40] for cell in header[:20])


def joined(values: Sequence[object], places: tuple[Place, ...]) -> object:
    """The value of a field in one row: that of the first place which is not blank.

    What is no text stays what it is, for `contacts` to refuse; ABSENT when the row has none of the columns.
    """
    if len(places) == 1 and len(places[0]) == 1:
        # Nearly always: a third of what follows.
        [[position]] = places
        return values[position] if position < len(values) else ABSENT
    fallback: object = ABSENT
    for place in places:
        found = [values[position] for position in place if position < len(values)]
        value = found[0] if len(place) == 1 and found else _together(found)
        if value is not ABSENT and not (isinstance(value, str) and not value.strip()) and value is not None:
            return value
        fallback = value if fallback is ABSENT else fallback
    return fallback


def _together(found: Sequence[object]) -> object:
    """Parts of a name as one text, without those that are empty."""
    parts = [part for part in found if part is not ABSENT and part is not None]
    if not parts:
        return None if any(part is None for part in found) else ABSENT
    odd = next((part for part in parts if not isinstance(part, str)), None)
    return odd if odd is not None else " ".join(text for part in parts if (text := str(part).strip()))


def _position(index: Index, field: str, column: str) -> int:
    """The column that is called so exactly, or else nearly."""
    exact, plain = headers.wanted_as(column)
    at = index.exact.get(exact) or index.plain.get(plain)
    if not at:
        raise MissingColumns(f"mapping names {column[:40]!r}, which is not among the columns: {shown(index.header)}.")
    if len(at) > 1:
        raise _ambiguous(index.header, at, f"mapping names {column[:40]!r}, which is there {len(at)} times", field)
    return at[0]


def _aliased(index: Index, field: str, is_table: bool) -> Iterator[Place]:
    if not is_table and field in index.folded:
        yield _single(index, field, (field,))
    elif field == "name":
        yield from _names(index, is_table)
    elif email := _single(index, field, headers.EMAILS):
        yield email
        yield from ((at,) for alias in headers.MORE_EMAILS for at in index.plain.get(alias, ()))


def _names(index: Index, is_table: bool) -> Iterator[Place]:
    wholes = [place for alias in headers.NAMES if (place := _single(index, "name", (alias,)))]
    first, last = (_single(index, "name", aliases) for aliases in (headers.FIRST_NAMES, headers.LAST_NAMES))
    if is_table and bool(first) != bool(last):
        _check_half(index, first, last, bool(wholes))
    yield from wholes
    if first or last:
        yield first + last


def _check_half(index: Index, first: Place, last: Place, has_whole: bool) -> None:
    """Half a name will do where no column may be the other half; a last name alone has one that we do not know."""
    others = (at for alias in headers.WHOLES_OR_HALVES for at in index.plain.get(alias, ()))
    half, *rivals = (index.header[at].strip()[:40] for at in (*first, *last, *others))
    if rivals:
        both = f'"{half}", "{rivals[0]}"' if first else f'"{rivals[0]}", "{half}"'
        raise AmbiguousColumns(
            f"{half} is half of a name, and {rivals[0]} may be all of it or the other half. Say which with "
            f'mapping={{"name": "{rivals[0]}"}} or mapping={{"name": [{both}]}}.'
        )
    if last and not has_whole:
        raise MissingColumns(
            f"{half} is half of a name, and the other half is not found. The header row has: {shown(index.header)}. "
            f'Name both with mapping={{"name": ["...", "{half}"]}}, or only this with mapping={{"name": "{half}"}}.'
        )


def _reason(header: Sequence[str], field: str, places: tuple[Place, ...]) -> str:
    """Why these columns."""
    if len(places) > 1:
        return "the first of these that is not empty" + ", first and last name joined" * (field == "name")
    if not places or len(places[0]) > 1:
        return "first and last name, joined" if places else ""
    is_exact = header[places[0][0]].strip().casefold() == field
    return f"called {field}" if is_exact else f"one of the usual names for {field}"


def _single(index: Index, field: str, aliases: tuple[str, ...]) -> Place:
    """The one column that has one of the aliases; empty when there is none."""
    exact = index.folded.get(aliases[0])
    at = exact or sorted(position for alias in aliases for position in index.plain.get(alias, ()))
    if len(at) > 1:
        raise _ambiguous(index.header, at, f"{len(at)} columns could be the {aliases[0]}", field)
    return tuple(at)


def _ambiguous(header: Sequence[str], at: Sequence[int], problem: str, field: str) -> AmbiguousColumns:
    which = ", ".join(f"{header[position].strip()[:40]} (column {position + 1})" for position in at[:MAX_RIVALS])
    advice = "They are called the same: rename one of them."
    if 1 in Counter(header[position].strip() for position in at).values():
        advice = f'Say which with mapping={{"{field}": ["..."]}}.'
    return AmbiguousColumns(f"{problem[0].upper()}{problem[1:]}: {which}. {advice}")
