"""Which columns of a file, or members of a row, make up the name and the e-mail of a contact.

Headers are compared after dropping case, punctuation and white space, with the aliases that the exports of Google,
Outlook, LinkedIn, Mailchimp, HubSpot, Salesforce, Thunderbird, Marketo and Chatwoot need; an explicit mapping wins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dataflow.errors import AmbiguousColumns, MissingColumns
from dataflow.formats.headers import Index, wanted_as
from dataflow.formats.reading import Mapping
from dataflow.formats.rows import ABSENT

FIELDS: Final = ("name", "email")
#: Best first. A column that is called exactly as the field wins alone, so that other members stay ignored.
_EMAILS: Final = ("email", "emailaddress", "email1value", "primaryemail", "mail")
_NAMES: Final = ("name", "fullname", "displayname", "fileas")
_FIRST_NAMES: Final = ("firstname", "givenname", "first")
_LAST_NAMES: Final = ("lastname", "familyname", "surname", "last")
#: All that a column may be called, normalised.
ALIASES: Final = frozenset({*_EMAILS, *_NAMES, *_FIRST_NAMES, *_LAST_NAMES})
#: What a rejects file has beside the columns of its original; ignored when it is sent back.
REJECTS_COLUMNS: Final = ("_row", "_record", "_line", "_code", "_error")
#: How much of a header row a message or a job shows.
MAX_SHOWN_COLUMNS, MAX_SHOWN_CHARACTERS, MAX_RIVALS = 200, 100, 10

#: Positions of the columns that are joined.
Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """For each field the places to look at, in this order; the first that is not blank counts. None: not found."""

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


def find(header: Sequence[str], mapping: Mapping | None = None) -> Columns:
    """The columns that make up name and e-mail, as far as they are there.

    :raises MissingColumns: when `mapping` names what is not there.
    :raises AmbiguousColumns: when several columns claim to be the same.
    """
    places: list[tuple[Place, ...]] = []
    reasons = []
    index = Index(header, mapping or {}, ALIASES)
    for field in FIELDS:
        if mapping and field in mapping:
            places.append((tuple(_position(index, column) for column in mapping[field]),))
            reasons.append("as given in mapping")
        else:
            found = tuple(_aliased(index, field))
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


def _position(index: Index, column: str) -> int:
    """The column that is called so exactly, or else nearly."""
    exact, plain = wanted_as(column)
    at = index.exact.get(exact) or index.plain.get(plain)
    if not at:
        raise MissingColumns(f"mapping names {column[:40]!r}, which is not among the columns: {shown(index.header)}.")
    if len(at) > 1:
        problem = f"mapping names {column[:40]!r}, which is there {len(at)} times"
        raise _ambiguous(index.header, at, problem)
    return at[0]


def _aliased(index: Index, field: str) -> Iterator[Place]:
    if field == "email":
        if email := _single(index, _EMAILS):
            yield email
        return
    for alias in _NAMES:
        if name := _single(index, (alias,)):
            yield name
            if alias == "name":
                return
    parts = [_single(index, aliases) for aliases in (_FIRST_NAMES, _LAST_NAMES)]
    if together := tuple(position for part in parts for position in part):
        yield together


def _reason(header: Sequence[str], field: str, places: tuple[Place, ...]) -> str:
    """Why these columns."""
    if len(places) > 1:
        return "the first of these that is not empty, first and last name joined"
    if not places or len(places[0]) > 1:
        return "first and last name, joined" if places else ""
    is_exact = header[places[0][0]].strip().casefold() == field
    return f"called {field}" if is_exact else f"one of the usual names for {field}"


def _single(index: Index, aliases: tuple[str, ...]) -> Place:
    """The one column that has one of the aliases; empty when there is none."""
    exact = index.folded.get(aliases[0])
    at = exact or sorted(position for alias in aliases for position in index.plain.get(alias, ()))
    if len(at) > 1:
        raise _ambiguous(index.header, at, f"{len(at)} columns could be the {aliases[0]}")
    return tuple(at)


def _ambiguous(header: Sequence[str], at: Sequence[int], problem: str) -> AmbiguousColumns:
    which = ", ".join(f"{header[position].strip()[:40]} (column {position + 1})" for position in at[:MAX_RIVALS])
    return AmbiguousColumns(f'{problem[0].upper()}{problem[1:]}: {which}. Name one with mapping={{"email": "..."}}.')
