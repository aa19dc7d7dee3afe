"""Which members of JSON rows are the name and the e-mail of a contact, for documents and NDJSON alike.

Rows that leave out what is empty have thousands of combinations of keys, so a new one must be cheap: only keys that
could have a meaning are looked up, each combination of them once.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec

from dataflow.errors import AmbiguousColumns, MissingColumns
from dataflow.formats.block import Malformed
from dataflow.formats.columns.comparison import normalise
from dataflow.formats.columns.contact_columns import FIELDS, MAX_SHOWN_COLUMNS, Columns, find, ignored
from dataflow.formats.columns.headers import could_be
from dataflow.formats.columns.joining import in_row, in_rows
from dataflow.formats.reading import Findings, Mapping, Reading
from dataflow.formats.tables.cells import MAX_COLUMNS

#: Of a row, at whatever depth: each takes two hundred bytes.
MAX_VALUES: Final = MAX_COLUMNS
TOO_MANY_VALUES: Final = Malformed(f"A row has more than {MAX_VALUES} members, those of its members counted")

#: What is remembered of the sender's keys is bounded by number and by size.
_MAX_REMEMBERED, _MAX_REMEMBERED_BYTES = 1000, 1024 * 1024
_KEY_BYTES: Final = 64
_MAX_MESSAGE_CHARACTERS: Final = 400
_get_name, _get_email = itemgetter("name"), itemgetter("email")


class Contact(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A row of these two texts and nothing else, as most programs send it: half of the work that a dict makes."""

    name: str
    email: str


#: What a row is read as.
Row = dict[str, object] | Contact | Malformed


class Members:
    def __init__(self, reading: Reading, findings: Findings) -> None:
        self._has_mapping = bool(reading.mapping)
        self._mapping: Mapping = reading.mapping or {}
        named = [column for columns in self._mapping.values() for column in columns]
        self._named = {*map(str.strip, named), *map(normalise, named)}
        self._findings = findings
        self._known: dict[tuple[str, ...], Columns | Malformed] = {}
        self._meaning: dict[str, bool] = {}
        self._noted: set[str] = set()  #: keys of rows that have been looked at
        self._remembered_bytes = 0

    def of(self, keys: tuple[str, ...]) -> Columns | Malformed:
        """The places in a row with these keys, of which no two are equal; Malformed when they are ambiguous."""
        return self._known.get(keys) or self._learn(keys)

    def pick(self, row: dict[str, object]) -> tuple[object, object]:
        columns = self.of(tuple(row))
        if isinstance(columns, Malformed):
            return columns, columns
        values = tuple(row.values())
        return in_row(values, columns.names), in_row(values, columns.emails)

    def columns(self, rows: Sequence[Row]) -> tuple[list[object], list[object]]:
        """Names and e-mails of rows, which are either all `Contact` or none."""
        objects: Sequence[Any] = rows
        if (types := {*map(type, rows)}) == {Contact}:
            if not self._has_mapping:
                self.of(("name", "email"))
                return [row.name for row in objects], [row.email for row in objects]
            objects = list(map(msgspec.structs.asdict, objects))
        if Malformed not in types:
            return self._columns(objects)
        names, emails = map(iter, self._columns([row for row in objects if not isinstance(row, Malformed)]))
        return (
            [row if isinstance(row, Malformed) else next(names) for row in rows],
            [row if isinstance(row, Malformed) else next(emails) for row in rows],
        )

    def _columns(self, rows: Sequence[dict[str, object]]) -> tuple[list[object], list[object]]:
        if not self._has_mapping and rows and (usual := _usual_columns(rows)):
            self._note_members(rows)
            return usual
        keys = tuple(rows[0]) if rows else ()
        places = self.of(keys)
        are_alike = sum(map(len, rows)) == len(keys) * len(rows) and len(set[str]().union(*rows)) == len(keys)
        if isinstance(places, Malformed) or not are_alike:
            picked = [self.pick(row) for row in rows]
            return [name for name, _ in picked], [email for _, email in picked]

        def values_at(position: int) -> list[object]:
            return list(map(itemgetter(keys[position]), rows))

        return in_rows(places.names, len(rows), values_at), in_rows(places.emails, len(rows), values_at)

    def _note_members(self, rows: Sequence[dict[str, object]]) -> None:
        """Note the other members of rows that have both `name` and `email`."""
        is_mapped = "mapping" in self._findings.facts
        is_full = is_mapped and len(self._findings.ignored_columns) >= MAX_SHOWN_COLUMNS
        # A tuple of keys for each row costs three times as much.
        if not is_full and not (is_mapped and self._noted.issuperset(set[str]().union(*rows))):
            for keys in dict.fromkeys(map(tuple, rows)):
                self.of(keys)

    def _learn(self, keys: tuple[str, ...]) -> Columns | Malformed:
        at = [position for position, key in enumerate(keys) if self._tells(key)]
        telling = tuple([keys[position] for position in at])
        self._make_room(keys + telling)
        found = self._known.get(telling)
        if found is None:
            found = self._known[telling] = self._find(telling)
        if isinstance(found, Columns):
            found = moved(found, at)
            self._note(keys, found)
        self._known[keys] = found
        return found

    def _tells(self, key: str) -> bool:
        known = self._meaning.get(key)
        if known is None:
            known = could_be(key) or normalise(key) in self._named or key.strip() in self._named
            self._make_room((key,))
            self._meaning[key] = known
        return known

    def _find(self, keys: tuple[str, ...]) -> Columns | Malformed:
        mapping = {field: [key for key in named if _is_there(keys, key)] for field, named in self._mapping.items()}
        # Unlike columns, keys differ by case: `Name` is no rival of `name`.
        exact = [field for field in FIELDS if field in keys and field not in mapping]
        rivals = {key for key in keys if key not in exact and key.strip().casefold() in exact}
        try:
            return find(["" if key in rivals else key for key in keys], mapping, is_table=False)
        except AmbiguousColumns as error:
            return Malformed(error.message[:_MAX_MESSAGE_CHARACTERS])

    def _note(self, keys: tuple[str, ...], columns: Columns) -> None:
        facts, shown = self._findings.facts, self._findings.ignored_columns
        if "mapping" not in facts and any(map(len, columns.names)) and any(map(len, columns.emails)):
            facts["mapping"] = columns.describe(keys)
        if len(shown) < MAX_SHOWN_COLUMNS and not self._noted.issuperset(keys):
            used = columns.used
            new = [key for at, key in enumerate(keys) if at not in used and key not in self._noted]
            shown += [name for name in ignored(new, Columns((), ())) if name not in shown]
            del shown[MAX_SHOWN_COLUMNS:]
            self._noted.update(keys)

    def _make_room(self, keys: Sequence[str]) -> None:
        size_bytes = sum(map(len, keys)) + _KEY_BYTES * (len(keys) + 1)
        self._remembered_bytes += size_bytes
        if len(self._known) >= _MAX_REMEMBERED or self._remembered_bytes > _MAX_REMEMBERED_BYTES:
            self._known.clear()
            self._meaning.clear()
            self._noted.clear()
            self._remembered_bytes = size_bytes


def _usual_columns(rows: Sequence[dict[str, object]]) -> tuple[list[object], list[object]] | None:
    """The columns of rows that all have `name` and `email`; None when one has not."""
    try:
        return list(map(_get_name, rows)), list(map(_get_email, rows))
    except KeyError:
        return None


def _is_there(keys: Sequence[str], key: str) -> bool:
    try:
        find(keys, {field: [key] for field in FIELDS})
    except MissingColumns:
        return False
    except AmbiguousColumns:
        return True  # more than once
    return True


def moved(columns: Columns, positions: Sequence[int]) -> Columns:
    """The same columns at other positions."""
    names, emails = (
        tuple(type(place)(positions[at] for at in place) for place in places)
        for places in (columns.names, columns.emails)
    )
    return Columns(names, emails, columns.reasons)
