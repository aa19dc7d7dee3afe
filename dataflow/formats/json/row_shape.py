"""The shape of a row in a stream of JSON events, and how to recognise many rows of it at once.

Rows of one program nearly always have the same members in the same order. Then every n-th event is the same key, and
names and e-mails are slices of the event list: 0.65 us a row where stepping through takes 1.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, Self

from dataflow.formats.block import Malformed
from dataflow.formats.columns.contact_columns import Columns
from dataflow.formats.columns.joining import in_rows
from dataflow.formats.json.members import Members, moved

Event = tuple[str, Any]

SCALARS: Final = frozenset({"string", "number", "integer", "double", "boolean", "null"})
_get_kind, _get_value = itemgetter(0), itemgetter(1)


@dataclass(frozen=True, slots=True)
class RowShape:
    """For each event of a row the event that must stand there, or None for a scalar of any value."""

    events: tuple[Event | None, ...]
    columns: Columns  #: the places of the values, as positions among the events

    @property
    def length(self) -> int:
        return len(self.events)

    @classmethod
    def of(cls, events: Sequence[Event], members: Members) -> Self | None:
        """The shape of one complete object; None for other events, and where name or e-mail are nested or ambiguous."""
        at: dict[str, int] = {}
        depth = 0
        for position, (kind, value) in enumerate(events):
            depth += kind.startswith("start_") - kind.startswith("end_")
            if kind == "map_key" and depth == 1:
                at[value] = position + 1
        if depth or len(events) < 2 or events[0][0] != "start_map":
            return None
        columns = members.of(tuple(at))
        if isinstance(columns, Malformed):
            return None
        columns = moved(columns, list(at.values()))
        if any(events[position][0] not in SCALARS for position in columns.used):
            return None
        return cls(tuple(None if event[0] in SCALARS else event for event in events), columns)

    def take(self, events: Sequence[Event], start: int, max_rows: int) -> Sequence[Event]:
        length = self.length
        tried = rows = min((len(events) - start) // length, max_rows)
        events = events[start : start + rows * length]
        for position in range(1, length):
            rows = _leading(events[position::length], self.events[position], rows)
        # Before a key stands the beginning of its object, so that the first events need no look: a sixth of the work.
        # Only the last may be the end of all rows, when the rest of the request object looks like a row.
        if rows and events[(rows - 1) * length] != self.events[0]:
            rows -= 1
        return events if rows == tried else events[: rows * length]

    def names_and_emails(self, events: Sequence[Event]) -> tuple[list[object], list[object]]:

        def values_at(position: int) -> list[object]:
            return list(map(_get_value, events[position :: self.length]))

        rows = len(events) // self.length
        return in_rows(self.columns.names, rows, values_at), in_rows(self.columns.emails, rows, values_at)


def _leading(column: Sequence[Event], wanted: Event | None, rows: int) -> int:
    if SCALARS.issuperset({*map(_get_kind, column)}) if wanted is None else column.count(wanted) == len(column):
        return rows
    for index, event in enumerate(column[:rows]):
        if event[0] not in SCALARS if wanted is None else event != wanted:
            return index
    return rows
