"""Which columns of a file, or members of a row, make up a contact: those of a mapping, else what `matching` finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dataflow.errors import MalformedInput, MissingColumns
from dataflow.formats.columns import email_columns, matching, name_columns
from dataflow.formats.columns.addresses import has_contact
from dataflow.formats.columns.headers import Index
from dataflow.formats.columns.joining import Place
from dataflow.formats.columns.matching import shown
from dataflow.formats.formulas import COLUMN as GUARDS_COLUMN
from dataflow.formats.reading import Findings, Mapping

FIELDS: Final = ("name", "email")
#: What a rejects file has beside the columns of its original; ignored when it is sent back.
REJECTS_COLUMNS: Final = ("_row", "_record", "_line", "_code", "_error")
_OURS: Final = {*REJECTS_COLUMNS, GUARDS_COLUMN}
MAX_SHOWN_COLUMNS, MAX_SHOWN_CHARACTERS = 200, 100


@dataclass(frozen=True, slots=True)
class Columns:
    """The places of each field, best first: the first that is not blank counts. Empty where none is found."""

    names: tuple[Place, ...]
    emails: tuple[Place, ...]
    reasons: tuple[str, str] = ("", "")  #: why these, for the name and for the e-mail
    is_qualified: bool = False  #: some names have qualifiers, so that another row may be the header

    @property
    def is_complete(self) -> bool:
        return bool(self.names and self.emails)

    @property
    def used(self) -> frozenset[int]:
        return frozenset(position for place in (*self.names, *self.emails) for position in place)

    @property
    def email_positions(self) -> list[int]:
        return [position for place in self.emails for position in place]

    @property
    def reach(self) -> int:
        return max(self.used, default=-1) + 1

    def describe(self, header: Sequence[str]) -> dict[str, dict[str, object]]:
        return {
            field: {
                "columns": [header[at][:MAX_SHOWN_CHARACTERS] for place in places for at in place],
                "reason": reason,
            }
            for field, places, reason in zip(FIELDS, (self.names, self.emails), self.reasons, strict=True)
            if places
        }


def may_be_header(cells: Sequence[str], mapping: Mapping | None) -> bool:
    """Whether a row may name an e-mail. Takes a tenth of the time of `find`, and most rows name none."""
    return bool(mapping and "email" in mapping) or Index(cells, {}).has_email


def find(header: Sequence[str], mapping: Mapping | None = None, is_table: bool = True) -> Columns:
    """The columns that make up name and e-mail, as far as they are there.

    :param is_table: the header counts for all rows. Otherwise it is the keys of one row: a key that is called as the
        field wins alone, and a row may leave keys out.
    :raises MissingColumns, AmbiguousColumns: when `mapping` names what is not there, there is only half of a name, or
        several columns could be the same.
    """
    places: list[tuple[Place, ...]] = []
    reasons = []
    is_qualified = False
    mapping = mapping or {}
    index = Index(header, mapping)
    for field in FIELDS:
        if field in mapping:
            places.append((tuple(matching.mapped(index, field, column) for column in mapping[field]),))
            reasons.append("as given in mapping")
        else:
            search, other = (name_columns.find, "email") if field == "name" else (email_columns.find, "name")
            found = search(index, is_table, other in mapping)
            places.append(found.places)
            reasons.append(matching.reason(header, field, found))
            is_qualified |= found.is_qualified
    return Columns(places[0], places[1], (reasons[0], reasons[1]), is_qualified)


def require(header: Sequence[str], mapping: Mapping | None = None) -> Columns:
    """The columns of a header row, which must have both.

    :raises MissingColumns, AmbiguousColumns: naming what was found instead.
    """
    columns = find(header, mapping)
    if not columns.is_complete:
        lacking = [field for field, places in zip(FIELDS, (columns.names, columns.emails), strict=True) if not places]
        raise MissingColumns(
            f"The header row lacks {' and '.join(lacking)}. It has: {shown(header)}. Rename the columns, or name them "
            'with mapping={"name": "...", "email": "..."}.'
        )
    return columns


def check_header(line: int, header: Sequence[str]) -> None:
    """Refuse a header row that has swallowed a contact, because a line end or a quote is missing.

    :raises MalformedInput: when it has an address that is not given as an example, as in `E-mail (me@example.com)`.
    """
    if has_contact(header):
        raise MalformedInput(
            f"There is an e-mail address in the header row on line {line}. Is the line end behind that missing, or a "
            "quote left open?"
        )


def note_header(findings: Findings, line: int, header: list[str], columns: Columns) -> None:
    findings.facts["headerLine"] = line
    findings.facts["mapping"] = columns.describe(header)
    findings.columns = header
    findings.ignored_columns = ignored(header, columns)


def ignored(header: Sequence[str], columns: Columns) -> list[str]:
    """The columns that are not used, as a job names them, without empty ones and those that only we write."""
    others = (cell.strip() for position, cell in enumerate(header) if position not in columns.used)
    named = dict.fromkeys(cell[:MAX_SHOWN_CHARACTERS] for cell in others if cell and cell not in _OURS)
    return list(named)[:MAX_SHOWN_COLUMNS]
