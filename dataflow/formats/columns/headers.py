"""What columns may be called, and where in a header row those names are.

These names are from exports of Google, Outlook, LinkedIn, Mailchimp, HubSpot, Salesforce, Thunderbird, Marketo and
Chatwoot. Where none is there, those of `header_names` are looked for, and last what `qualifiers` makes of the others.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Final

from dataflow.formats.columns import header_names
from dataflow.formats.columns.comparison import compared, normalise, without_asides
from dataflow.formats.columns.qualifiers import Qualified, Qualifiers
from dataflow.formats.reading import Mapping

#: Best first. One that is called exactly as the first of these wins over the others.
EMAILS: Final = (
    "email", "emailaddress", "email1value", "primaryemail", "mail",
    "emailadresse", "adresseemail", "adressedemessagerie", "courriel", "correoelectrónico", "correoelectronico",
    "indirizzoemail", "emailadres",
)  # fmt: skip
#: Never alone: the first address of such a file has a name that is not known.
MORE_EMAILS: Final = (
    "email2", "email2value", "email2address", "emailaddress2", "secondaryemail", "secondaryemailaddress",
    "email3", "email3value", "email3address", "emailaddress3", "email2adresse", "email3adresse",
)  # fmt: skip
NAMES: Final = ("name", "fullname", "displayname", "fileas")
FIRST_NAMES: Final = (
    "firstname", "givenname", "forename", "first", "given", "fname",
    "vorname", "prénom", "prenom", "voornaam", "primeironome",
)  # fmt: skip
LAST_NAMES: Final = (
    "lastname", "familyname", "surname", "last", "lname",
    "nachname", "familienname", "nomdefamille", "apellido", "apellidos", "cognome", "achternaam", "sobrenome",
)  # fmt: skip
#: Beside only the first or the last name such a column may be the other one: `Name;Vorname`.
WHOLES_OR_HALVES: Final = ("name", "nom", "nombre", "nome", "naam")
LISTED: Final = {role: header_names.called(role) for role in sorted({line.role for line in header_names.TABLE})}
_ROLES: Final = {
    **{name: role for role, names in LISTED.items() for name in names if role not in ("email2", "signin", "visa")},
    **dict.fromkeys(EMAILS, "email"),
    **dict.fromkeys((*NAMES, "naam"), "whole"),
    **dict.fromkeys(FIRST_NAMES, "first"),
    **dict.fromkeys(LAST_NAMES, "last"),
}
_QUALIFIERS: Final = Qualifiers(_ROLES)
ALIASES: Final = frozenset({*_ROLES, *MORE_EMAILS, *WHOLES_OR_HALVES, *(n for names in LISTED.values() for n in names)})

EMAIL_ALIASES: Final = frozenset({*EMAILS, *LISTED["email"]})
NAME_ALIASES: Final = frozenset({*WHOLES_OR_HALVES, *(name for name, role in _ROLES.items() if role != "email")})


def could_be(cell: str) -> bool:
    """Whether a column that is called so could be ours, with or without what its header says in brackets."""
    shorter = without_asides(cell)
    return _could_be(normalise(cell)) or (shorter != cell and _could_be(normalise(shorter)))


def _could_be(name: str) -> bool:
    return name in ALIASES or _QUALIFIERS.read(name) is not None


class Index:
    """Where in a header the columns are that could be ours: all at once, because it may have thousands."""

    def __init__(self, header: Sequence[str], mapping: Mapping) -> None:
        self.header = header
        self._named = [wanted_as(column) for columns in mapping.values() for column in columns]

    @cached_property
    def exact(self) -> dict[str, list[int]]:
        return _positions(self._stripped, {exact for exact, _ in self._named})

    @cached_property
    def folded(self) -> dict[str, list[int]]:
        return _positions([cell.casefold() for cell in self._stripped], ALIASES)

    @cached_property
    def plain(self) -> dict[str, list[int]]:
        return _positions(self._names, ALIASES | {plain for _, plain in self._named})

    @property
    def has_usual_email(self) -> bool:
        return not EMAIL_ALIASES.isdisjoint(self._names)

    @property
    def has_email(self) -> bool:
        is_called_so = self.has_usual_email or any(name in self._names for name in LISTED["signin"])
        return is_called_so or any(each.role == "email" for _, each in self.qualified)

    @property
    def is_of_orders(self) -> bool:
        """Whether `Name` is what an order is called, as in Shopify's list of them: `#1001`."""
        return "lineitemname" in self._names

    @cached_property
    def qualified(self) -> list[tuple[int, Qualified]]:
        nothing = ("", "name") if self.is_of_orders else ("",)
        text = without_asides(self._text)
        names = self._names if text == self._text else compared(text).split("\n")
        known = {name: found for name in {*names} if name not in nothing and (found := _QUALIFIERS.read(name))}
        at = [(position, known[name]) for position, name in enumerate(names) if name in known]
        return [(position, each.asked() if "?" in self.header[position] else each) for position, each in at]

    @cached_property
    def _names(self) -> list[str]:
        return compared(self._text).split("\n")

    @cached_property
    def _text(self) -> str:
        """All on a line each: a call for each column would take ten times as long."""
        text = "\n".join(self.header)
        if text.count("\n") >= len(self.header):
            text = "\n".join([cell.replace("\n", " ") for cell in self.header])
        return text

    @cached_property
    def _stripped(self) -> list[str]:
        return [cell.strip() for cell in self.header]


def _positions(names: list[str], wanted: frozenset[str] | set[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    if not wanted.isdisjoint(names):
        for position, name in enumerate(names):
            if name in wanted and name:
                found.setdefault(name, []).append(position)
    return found


@lru_cache(maxsize=64)  # a mapping is looked up in each record that could be the header
def wanted_as(column: str) -> tuple[str, str]:
    return column.strip(), normalise(column)
