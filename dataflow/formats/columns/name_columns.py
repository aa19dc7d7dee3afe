"""Which columns of a header are those of the name: all of it, or its parts. Looked for as those of the e-mail are."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dataflow.errors import AmbiguousColumns, MissingColumns
from dataflow.formats.columns import email_columns, headers
from dataflow.formats.columns.headers import LISTED, Index
from dataflow.formats.columns.joining import Place, first_and_last
from dataflow.formats.columns.matching import Found, ambiguous, positions, shown, single

_WHOLES_ALONE: Final = ("nom", "nombre", "naam")
_PARTS: Final = ("nom", "nombre", "ad", "apelido", "infix", "last2", "visa")


@dataclass(slots=True)
class _Parts:
    wholes: list[Place]
    halves: dict[str, Place]
    rivals: Sequence[int]  #: what may be all of a name or the other half


def find(index: Index, is_table: bool, is_addressed: bool) -> Found:
    """The columns of the name. Without `is_table`, a member that is called `name` wins alone, and half a name will do.

    :param is_addressed: the e-mail is given, so that no header can say whose it is.
    :raises MissingColumns, AmbiguousColumns: when there is only the last name, or several columns could be the same.
    """
    person = "" if is_addressed or index.has_usual_email else email_columns.qualified(index, False).person
    # The list of a company's customers has `Name` beside `Contact Name` and `Contact Email`.
    if person and (places := _put_together(index, _qualified_parts(index, {person}), is_table)):
        return Found(places, True, person)
    if not is_table and "name" in index.folded:
        return Found((single(index, "name", ("name",)),))
    if places := _put_together(index, _usual_parts(index), is_table):
        return Found(places)
    persons = {each.person for _, each in index.qualified}
    allowed = {"", person} if person else persons
    return Found(_put_together(index, _qualified_parts(index, allowed), is_table), True)


def _usual_parts(index: Index) -> _Parts:
    halves = {role: single(index, "name", LISTED[role]) for role in _PARTS}
    halves["naam"] = single(index, "name", ("naam",))
    for role, aliases in (("first", headers.FIRST_NAMES), ("last", headers.LAST_NAMES)):
        halves[role] = single(index, "name", aliases) or single(index, "name", LISTED[role])
    wholes = _usual_wholes(index, bool(halves["first"] and halves["last"]))
    if not wholes and halves["first"] and halves["last"] and halves["visa"]:
        wholes = [halves["visa"]]
    return _Parts(wholes, halves, positions(index, headers.WHOLES_OR_HALVES))


def _usual_wholes(index: Index, has_halves: bool) -> list[Place]:
    names = headers.NAMES[1:] if index.is_of_orders else headers.NAMES
    if wholes := [place for alias in names if (place := single(index, "name", (alias,)))]:
        return wholes
    if has_halves:
        # Thunderbird in Czech and Finnish calls two columns the same: the name that it shows, and the screen name.
        return [tuple(at[:1]) for alias in LISTED["whole"] if (at := index.plain.get(alias))]
    return [place for alias in LISTED["whole"] if (place := single(index, "name", (alias,)))]


def _qualified_parts(index: Index, persons: Container[str]) -> _Parts:
    at: dict[str, list[int]] = {}
    found = [(position, each) for position, each in index.qualified if each.role != "email" and each.person in persons]
    for position, each in found:
        at.setdefault(each.role, []).append(position)
    if len({each.person for _, each in found}) > 1 or any(len(rivals) > 1 for rivals in at.values()):
        rivals = [position for position, _ in found]
        raise ambiguous(index.header, rivals, f"{len(rivals)} columns could be the name", "name")
    halves = {role: tuple(positions) for role, positions in at.items()}
    return _Parts([whole] if (whole := halves.get("whole")) else [], halves, at.get("whole", ()))


def _put_together(index: Index, parts: _Parts, is_table: bool) -> tuple[Place, ...]:
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
    if last:
        last = (*halves.get("infix", ()), *last, *halves.get("last2", ()))
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
