"""What columns may be called, how their headers are compared, and where in a header row those are that are asked for.

Headers are compared after dropping case, punctuation and white space, with the aliases that the exports of Google,
Outlook, LinkedIn, Mailchimp, HubSpot, Salesforce, Thunderbird, Marketo and Chatwoot need, and what
German, French, Spanish, Italian, Dutch and Portuguese programs write.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Final

from dataflow.formats.reading import Mapping

#: Best first. One that is called exactly as the first of these wins over the others.
EMAILS: Final = (
    "email", "emailaddress", "email1value", "primaryemail", "mail",
    "emailadresse", "adresseemail", "adressedemessagerie", "courriel", "correoelectrónico", "correoelectronico",
    "indirizzoemail", "emailadres",
)  # fmt: skip
#: Looked at in this order where those before are empty. Never alone: the first address has a name that we do not know.
MORE_EMAILS: Final = (
    "email2", "email2value", "email2address", "emailaddress2", "secondaryemail", "secondaryemailaddress",
    "email3", "email3value", "email3address", "emailaddress3", "email2adresse", "email3adresse",
)  # fmt: skip
NAMES: Final = ("name", "fullname", "displayname", "fileas")
#: Only what surely is the first name, or the last.
FIRST_NAMES: Final = (
    "firstname", "givenname", "forename", "first", "given", "fname",
    "vorname", "prénom", "prenom", "voornaam", "primeironome",
)  # fmt: skip
LAST_NAMES: Final = (
    "lastname", "familyname", "surname", "last", "lname",
    "nachname", "familienname", "nomdefamille", "apellido", "apellidos", "cognome", "achternaam", "sobrenome",
)  # fmt: skip
#: Beside only the first or the last name such a column may be the other one: `Name;Vorname`, `Nom;Prénom`.
WHOLES_OR_HALVES: Final = ("name", "nom", "nombre", "nome", "naam")
#: All that a column may be called, normalised.
ALIASES: Final = frozenset({*EMAILS, *MORE_EMAILS, *NAMES, *FIRST_NAMES, *LAST_NAMES, *WHOLES_OR_HALVES})
#: What is dropped to compare headers; the line end separates them where all are compared at once.
_IRRELEVANT: Final = re.compile(r"[^\w\n]+")
#: The same for ASCII, in a tenth of the time.
_DROPPED: Final = {code: None for code in range(128) if not chr(code).isalnum() and chr(code) != "\n"}


def normalise(header: str) -> str:
    """A header as it is compared: `E-mail 1 - Value` and `email_1_value` are the same."""
    return _compared(header).replace("\n", "")


def _compared(text: str) -> str:
    """Without what does not count; line ends stay."""
    if text.isascii():
        return text.lower().translate(_DROPPED)
    return _IRRELEVANT.sub("", unicodedata.normalize("NFKC", text).casefold()).replace("_", "")


class Index:
    """Where in a header the columns are that could be ours: found out at once, because it may have thousands."""

    def __init__(self, header: Sequence[str], mapping: Mapping) -> None:
        self.header = header
        self._named = [wanted_as(column) for columns in mapping.values() for column in columns]

    @cached_property
    def exact(self) -> dict[str, list[int]]:
        return _positions(self._stripped, {exact for exact, _ in self._named})

    @cached_property
    def folded(self) -> dict[str, list[int]]:
        """Names with upper and lower case alike."""
        return _positions([cell.casefold() for cell in self._stripped], ALIASES)

    @cached_property
    def plain(self) -> dict[str, list[int]]:
        """Names as `normalise` has them."""
        # All as one text: a call for each would take ten times as long.
        text = "\n".join(self.header)
        if text.count("\n") >= len(self.header):
            text = "\n".join([cell.replace("\n", " ") for cell in self.header])
        names = _compared(text).split("\n")
        return _positions(names, ALIASES | {plain for _, plain in self._named})

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
    """A column of a mapping, exactly and as `normalise` has it."""
    return column.strip(), normalise(column)
