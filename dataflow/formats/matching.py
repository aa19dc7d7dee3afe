"""Which columns of a header are those of a field: by their usual names, by those of other languages, or qualified.

Each is looked for only where the ones before are not there, so that a column which is called exactly so always wins.
What could be taken in two ways is refused, not guessed: also which of several persons a row is about.
"""

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dataflow.errors import AmbiguousColumns, MissingColumns
from dataflow.formats import headers
from dataflow.formats.full_names import Place, first_and_last
from dataflow.formats.headers import LISTED, NAME_ALIASES, Index

#: How many columns that could be the same a message names.
MAX_RIVALS: Final = 10
#: Roles whose column is all of a name when it is alone.
_WHOLES_ALONE: Final = ("nom", "nombre", "naam")


@dataclass(frozen=True, slots=True)
class Found:
    """The places of a field, best first, and whose they are as far as a qualified header says so."""

    places: tuple[Place, ...]
    is_qualified: bool = False
    person: str = ""


@dataclass(slots=True)
class _Parts:
    """Columns that a name is made of; what the roles mean is said in `header_names`."""

    wholes: list[Place]
    halves: dict[str, Place]
    rivals: Sequence[int]  #: what may be all of a name or the other half


def shown(header: Sequence[str]) -> str:
    """A header row in a message."""
    return ", ".join(cell.strip()[:40] for cell in header[:20])


def mapped(index: Index, field: str, column: str) -> int:
    """The column that is called so exactly, or else nearly.

    :raises MissingColumns: when there is none.
    :raises AmbiguousColumns: when there are several.
    """
    exact, plain = headers.wanted_as(column)
    at = index.exact.get(exact) or index.plain.get(plain)
    if not at:
        raise MissingColumns(f"mapping names {column[:40]!r}, which is not among the columns: {shown(index.header)}.")
    if len(at) > 1:
        raise _ambiguous(index.header, at, f"mapping names {column[:40]!r}, which is there {len(at)} times", field)
    return at[0]


def emails(index: Index, is_table: bool, is_named: bool) -> Found:
    """The columns of the e-mail; several qualified ones in their order.

    :param is_table: without, a member that is called `email` wins alone.
    :param is_named: the name is given, so that no header can say whose it is.
    :raises AmbiguousColumns: when several of the usual names are there.
    """
    if not is_table and "email" in index.folded:
        return Found((_single(index, "email", ("email",)),))
    first = _single(index, "email", headers.EMAILS)
    usual = [first] if first else [(at,) for at in _positions(index, LISTED["email"])]
    if not usual:
        return _qualified_emails(index, is_named)
    later = (at for alias in (*headers.MORE_EMAILS, *LISTED["email2"]) for at in index.plain.get(alias, ()))
    return Found(tuple(dict.fromkeys([*usual, *((at,) for at in later)])))


def names(index: Index, is_table: bool, is_addressed: bool) -> Found:
    """The columns of the name.

    :param is_table: without, a member that is called `name` wins alone, and a row may have half a name.
    :param is_addressed: the e-mail is given, so that no header can say whose it is.
    :raises AmbiguousColumns: when several columns could be the same.
    :raises MissingColumns: when there is only the last name.
    """
    person = "" if is_addressed or index.has_usual_email else _qualified_emails(index, False).person
    # The list of a company's customers has `Name` beside `Contact Name` and `Contact Email`.
    if person and (places := _put_together(index, _qualified_parts(index, {person}), is_table)):
        return Found(places, True, person)
    if not is_table and "name" in index.folded:
        return Found((_single(index, "name", ("name",)),))
    if places := _put_together(index, _usual_parts(index), is_table):
        return Found(places)
    persons = {each.person for _, each in index.qualified}
    allowed = {"", person} if person else persons
    return Found(_put_together(index, _qualified_parts(index, allowed), is_table), True)


def reason(header: Sequence[str], field: str, found: Found) -> str:
    """Why these columns."""
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


def _qualified_emails(index: Index, is_named: bool) -> Found:
    """Those of one person: of whom the names are, where they say so. Never only such as come after another."""
    found = [(at, each) for at, each in index.qualified if each.role == "email"]
    named = {each.person for _, each in index.qualified if each.role != "email"}
    says_whose = not is_named and NAME_ALIASES.isdisjoint(index.plain) and "" not in named
    if says_whose:
        found = [(at, each) for at, each in found if each.person in ("", *named)]
    first = next((each for _, each in found if not each.is_later), None)
    if not first:
        return Found(())
    own = [(each.is_later, at) for at, each in found if not says_whose or each.person in ("", first.person)]
    return Found(tuple((at,) for _, at in sorted(own)), True, first.person)


def _usual_parts(index: Index) -> _Parts:
    wholes = [place for alias in headers.NAMES if (place := _single(index, "name", (alias,)))]
    if not wholes:
        wholes = [place for alias in LISTED["whole"] if (place := _single(index, "name", (alias,)))]
    halves = {role: _single(index, "name", LISTED[role]) for role in ("nom", "nombre", "ad", "apelido")}
    halves["naam"] = _single(index, "name", ("naam",))
    for role, aliases in (("first", headers.FIRST_NAMES), ("last", headers.LAST_NAMES)):
        halves[role] = _single(index, "name", aliases) or _single(index, "name", LISTED[role])
    return _Parts(wholes, halves, _positions(index, headers.WHOLES_OR_HALVES))


def _qualified_parts(index: Index, persons: Container[str]) -> _Parts:
    at: dict[str, list[int]] = {}
    found = [(position, each) for position, each in index.qualified if each.role != "email" and each.person in persons]
    for position, each in found:
        at.setdefault(each.role, []).append(position)
    if len({each.person for _, each in found}) > 1 or any(len(rivals) > 1 for rivals in at.values()):
        rivals = [position for position, _ in found]
        raise _ambiguous(index.header, rivals, f"{len(rivals)} columns could be the name", "name")
    halves = {role: tuple(positions) for role, positions in at.items()}
    return _Parts([whole] if (whole := halves.get("whole")) else [], halves, at.get("whole", ()))


def _put_together(index: Index, parts: _Parts, is_table: bool) -> tuple[Place, ...]:
    """The places of a name, as all of it and as first and last name."""
    wholes, halves = parts.wholes, parts.halves
    first, last = halves.get("first", ()), halves.get("last", ()) or halves.get("apelido", ())
    last = last or (halves.get("nom", ()) if first else ())
    first = first or (halves.get("nombre", ()) or halves.get("ad", ()) if last else ())
    if bool(first) != bool(last):
        first, last = first or _spare(index, "first"), last or _spare(index, "last")
    if is_table and bool(first) != bool(last):
        _check_half(index, first, last, parts.rivals, bool(wholes))
    if not (wholes or first or last):
        wholes = [place for role in _WHOLES_ALONE if (place := halves.get(role))]
    return (*wholes, first_and_last(index.header, first, last)) if first or last else tuple(wholes)


def _spare(index: Index, role: str) -> Place:
    """The other half of a name, where a form's mark qualifies it: `First Name, Last Name (optional)`."""
    at = [position for position, each in index.qualified if each.role == role and not each.person]
    return tuple(at) if len(at) == 1 else ()


def _check_half(index: Index, first: Place, last: Place, others: Iterable[int], has_whole: bool) -> None:
    """Half a name will do where no column may be the other half; a last name alone has one that we do not know."""
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


def _positions(index: Index, aliases: Iterable[str]) -> list[int]:
    return sorted(position for alias in aliases for position in index.plain.get(alias, ()))


def _single(index: Index, field: str, aliases: tuple[str, ...]) -> Place:
    """The one column that has one of the aliases; empty when there is none."""
    exact = index.folded.get(aliases[0])
    at = exact or _positions(index, aliases)
    if len(at) > 1:
        raise _ambiguous(index.header, at, f"{len(at)} columns could be the {aliases[0]}", field)
    return tuple(at)


def _ambiguous(header: Sequence[str], at: Sequence[int], problem: str, field: str) -> AmbiguousColumns:
    which = ", ".join(f"{header[position].strip()[:40]} (column {position + 1})" for position in at[:MAX_RIVALS])
    advice = "They are called the same: rename one of them."
    if 1 in Counter(header[position].strip() for position in at).values():
        advice = f'Say which with mapping={{"{field}": ["..."]}}.'
    return AmbiguousColumns(f"{problem[0].upper()}{problem[1:]}: {which}. {advice}")
