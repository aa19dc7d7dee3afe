"""The shape of a row in a stream of JSON events, and how to recognise many rows of it at once.

Rows written by one program nearly always have the same members in the same order. Then every n-th event is the
same key, and names and e-mails are slices of the event list: 0.65 us a row where stepping through takes 1.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from dataflow.formats.rows import ABSENT

Event = tuple[str, Any]

SCALARS: Final = frozenset({"string", "number", "integer", "double", "boolean", "null"})


@dataclass(frozen=True, slots=True)
class RowShape:
    """One event a position: the kind it must have (None for any scalar) and, for a key, its text."""

    kinds: tuple[str | None, ...]
    keys: tuple[str | None, ...]
    name_at: int | None  #: position of the value of `name`, None when the rows have none
    email_at: int | None

    @property
    def length(self) -> int:
        return len(self.kinds)

    @classmethod
    def of(cls, events: Sequence[Event]) -> Self | None:
        """The shape of the row that `events` are, or None when they are not one complete object.

        A row whose name or e-mail is nested has no shape: its columns would not be slices.
        """
        at: dict[str, int] = {}
        depth = 0
        for position, (kind, value) in enumerate(events):
            depth += kind.startswith("start_") - kind.startswith("end_")
            if kind == "map_key" and depth == 1 and value in ("name", "email"):
                at[value] = position + 1
        complete = depth == 0 and len(events) > 1 and events[0][0] == "start_map"
        if not complete or any(events[position][0] not in SCALARS for position in at.values()):
            return None
        return cls(
            tuple(None if kind in SCALARS else kind for kind, _ in events),
            tuple(value if kind == "map_key" else None for kind, value in events),
            at.get("name"),
            at.get("email"),
        )

    def columns(self, events: Sequence[Event], start: int, max_rows: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Kinds and values of the next events, cut to whole rows of this length, 1 to `max_rows` of them."""
        rows = min((len(events) - start) // self.length, max_rows)
        kinds, values = zip(*events[start : start + rows * self.length], strict=True)
        return kinds, values

    def matching_rows(self, kinds: tuple[Any, ...], values: tuple[Any, ...]) -> int:
        """How many leading rows of these columns have this shape."""
        rows = len(kinds) // self.length
        for position, (kind, key) in enumerate(zip(self.kinds, self.keys, strict=True)):
            allowed = SCALARS if kind is None else {kind}
            rows = _leading(kinds[position :: self.length], allowed, rows)
            if key is not None:
                rows = _leading(values[position :: self.length], {key}, rows)
        return rows

    def pick(self, values: tuple[Any, ...], position: int | None, rows: int) -> Sequence[object]:
        """The values at one position of the first `rows` rows."""
        if position is None:
            return [ABSENT] * rows
        return values[position : rows * self.length : self.length]


def _leading(column: Sequence[Any], allowed: frozenset[str] | set[str], rows: int) -> int:
    """The length of the longest beginning of `column`, `rows` at most, that holds only `allowed` values."""
    if allowed.issuperset(column[:rows]):
        return rows
    return next(index for index, value in enumerate(column) if value not in allowed)
