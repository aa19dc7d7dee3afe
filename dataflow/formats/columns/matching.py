"""The columns that were found for a field, and what a message says of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dataflow.errors import AmbiguousColumns, MissingColumns
from dataflow.formats.columns import addresses, headers
from dataflow.formats.columns.headers import Index
from dataflow.formats.columns.joining import Place

MAX_RIVALS: Final = 10


@dataclass(frozen=True, slots=True)
class Found:
    places: tuple[Place, ...]
    is_qualified: bool = False
    person: str = ""


def shown(header: Sequence[str]) -> str:
    return addresses.shown(header[:20])


def mapped(index: Index, field: str, column: str) -> int:
    """The column that is called so exactly, or else nearly.

    :raises MissingColumns, AmbiguousColumns: when there is none, or more than one.
    """
    exact, plain = headers.wanted_as(column)
    at = index.exact.get(exact) or index.plain.get(plain)
    if not at:
        raise MissingColumns(f"mapping names {column[:40]!r}, which is not among the columns: {shown(index.header)}.")
    if len(at) > 1:
        raise ambiguous(index.header, at, f"mapping names {column[:40]!r}, which is there {len(at)} times", field)
    return at[0]


def reason(header: Sequence[str], field: str, found: Found) -> str:
    places = found.places
    but = ", but for what qualifies it" if found.is_qualified else ""
    if len(places) > 1:
        joined = ", first and last name joined" if field == "name" else ""
        each = f"; each is one of the usual names for {field}{but}" if but else ""
        return f"the first of these that is not empty{joined}{each}"
    if not places or len(places[0]) > 1:
        return "first and last name, joined" + "; called so but for what qualifies them" * bool(but) if places else ""
    is_exact = header[places[0][0]].strip().casefold() == field
    return f"called {field}" if is_exact else f"one of the usual names for {field}{but}"


def positions(index: Index, aliases: Iterable[str]) -> list[int]:
    return sorted(position for alias in aliases for position in index.plain.get(alias, ()))


def single(index: Index, field: str, aliases: tuple[str, ...]) -> Place:
    """The one column that has one of the aliases, or none.

    :raises AmbiguousColumns: when there are several, and none that is called exactly as the first alias.
    """
    exact = index.folded.get(aliases[0])
    at = exact or positions(index, aliases)
    if len(at) > 1:
        raise ambiguous(index.header, at, f"{len(at)} columns could be the {aliases[0]}", field)
    return tuple(at)


def ambiguous(header: Sequence[str], at: Sequence[int], problem: str, field: str) -> AmbiguousColumns:
    which = ", ".join(f"{header[position].strip()[:40]} (column {position + 1})" for position in at[:MAX_RIVALS])
    advice = "They are called the same: rename one of them."
    if 1 in Counter(header[position].strip() for position in at).values():
        advice = f'Say which with mapping={{"{field}": ["..."]}}.'
    return AmbiguousColumns(f"{problem[0].upper()}{problem[1:]}: {which}. {advice}")
