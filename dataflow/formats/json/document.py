"""JSON documents: an array of contacts, or the request object {source, data: [...], useResumable} in any order.

Rows of one shape, nearly all rows of nearly all files, are taken from the events as whole columns.

Why it is so: the events are walked by hand because ijson's `items` crashes on long integers (4,301 digits), needs
quadratic memory for nested arrays, mistakes the key "data.item" for a row, and cannot see `source` in the same pass.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from dataflow.errors import MalformedInput
from dataflow.formats.block import Block, Malformed, cut
from dataflow.formats.json.events import EventReader
from dataflow.formats.json.frame import NESTED, Frame
from dataflow.formats.json.members import MAX_VALUES, TOO_MANY_VALUES, Members
from dataflow.formats.json.row_shape import SCALARS, Event, RowShape
from dataflow.formats.json.source_text import EventOrigin
from dataflow.formats.reading import Findings, Reading

MAX_DEPTH = 32
_NOUNS: Final = dict.fromkeys(SCALARS, "a number") | {
    "null": "null", "boolean": "true or false", "string": "a string", "start_array": "an array"
}  # fmt: skip
#: Rows tried at once: few enough that one of another shape wastes little.
_BULK_ROWS = 256
#: The most rows taken singly before the next try, when rows keep changing their shape.
_MAX_PATIENCE_ROWS = 255


def read_blocks(pieces: Iterable[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    """The contacts of a document.

    :raises MalformedInput: when it is not JSON, not of one of the two forms, or nested over MAX_DEPTH.
    :raises RowTooLarge: when `max_row_bytes` pass without an event, or in one row over all its keys and values.
    """
    walker = JsonWalker(reading, findings)
    for piece in pieces:
        # A block keeps the events of its rows, which take ten times their bytes.
        yield from filter(None, map(walker.feed, cut(piece)))
    if not reading.is_beginning:
        walker.close()
    elif walker.data_type is None:
        return
    if walker.data_type is not list:
        others = f" It has: {', '.join(walker.frame.others)}." if walker.frame.others else ""
        raise MalformedInput(
            f"Invalid JSON format: the object has no array named data.{others} Send the array of contacts alone, or as "
            "data."
        )


class JsonWalker:
    """Takes a document piece by piece and gives its rows as they complete; `close` ends it."""

    def __init__(self, reading: Reading, findings: Findings) -> None:
        self.frame = Frame(reading.members, reading.max_row_bytes)
        self._max_row_bytes = reading.max_row_bytes
        self._reader = EventReader(reading.max_row_bytes, findings)
        self._depth = 0
        self._rows_depth = 0  #: depth inside the array of rows while there, else 0
        self._row: dict[str, object] | Malformed | None = None  #: the row that has begun but not ended
        self._row_key = ""
        self._row_size = self._row_values = 0
        self._row_parts: list[list[Event]] = []  #: its events in earlier pieces
        self._row_members = Members(reading, findings)
        self._shape: RowShape | None = None
        self._patience_rows = 0
        self._singles = 0  #: rows to take singly before the next try at many
        self._names: list[object] = []
        self._emails: list[object] = []
        self._origin = EventOrigin()

    @property
    def members(self) -> dict[str, object]:
        return self.frame.members

    @property
    def data_type(self) -> type | None:
        return self.frame.data_type

    @property
    def is_bare(self) -> bool:
        """The document is the array of rows itself: no members follow."""
        return self._rows_depth == 1

    @property
    def row_count(self) -> int:
        return self._reader.row_count

    def feed(self, piece: bytes) -> Block | None:
        """The rows that end in this piece, None when none does.

        :raises MalformedInput, RowTooLarge: see `read_blocks`.
        """
        for events in self._reader.feed(piece):
            self._walk(events)
        if not self._names:
            return None
        block = Block(self.row_count - len(self._names), self._names, self._emails, self._origin)
        self._names, self._emails, self._origin = [], [], EventOrigin()
        return block

    def close(self) -> None:
        """:raises MalformedInput: when the document is not complete."""
        for events in self._reader.close():
            self._walk(events)

    def _walk(self, events: list[Event]) -> None:
        position = 0
        while position < len(events):
            shape = self._shape
            if shape and self._is_between_rows() and not self._singles and len(events) - position >= shape.length:
                rows = self._take_rows(shape, events, position)
                position += rows * shape.length
                if rows < _BULK_ROWS:
                    # A row of another shape, or a cut one, comes next: while such rows follow one another, the
                    # tries become rarer.
                    self._patience_rows = 0 if rows else min(2 * self._patience_rows + 1, _MAX_PATIENCE_ROWS)
                    self._singles = max(1, self._patience_rows)
            else:
                was_between = self._is_between_rows()
                stepped = self._step_to_boundary(events, position)
                position += len(stepped)
                self._singles = max(0, self._singles - 1)
                if was_between and not self._singles and (shape is None or self._patience_rows):
                    self._shape = RowShape.of(stepped, self._row_members) or shape

    def _is_between_rows(self) -> bool:
        return self._row is None and self._rows_depth > 0 and self._depth == self._rows_depth

    def _take_rows(self, shape: RowShape, events: list[Event], position: int) -> int:
        run = shape.take(events, position, _BULK_ROWS)
        names, emails = shape.names_and_emails(run)
        if names:
            self._origin.add_rows(len(self._names), run, shape.length)
            self._names += names
            self._emails += emails
            self._reader.row_count += len(names)
        return len(names)

    def _step_to_boundary(self, events: list[Event], position: int) -> list[Event]:
        row_count = self.row_count
        end = self._step(events, position)
        stepped = events[position:end]
        if self._row is not None:
            # A refused row shows less than this.
            if self._row_values <= MAX_VALUES:
                self._row_parts.append(stepped)
        elif self.row_count > row_count:
            self._origin.add_row(len(self._names) - 1, [*self._row_parts, stepped])
            self._row_parts = []
        return stepped

    def _step(self, events: list[Event], position: int) -> int:
        for index in range(position, len(events)):
            kind, value = events[index]
            if self._row is not None:
                self._step_in_row(kind, value)
            elif self._is_between_rows():
                self._step_between_rows(kind)
            else:
                self._step_outside(kind, value)
            if self._row is None:
                return index + 1
        return len(events)

    def _step_between_rows(self, kind: str) -> None:
        if kind == "end_array":
            self._depth -= 1
            self._rows_depth = 0
        else:
            self._row = {} if kind == "start_map" else Malformed(f"Expected an object, found {_NOUNS[kind]}")
            self._row_size = self._row_values = 0
            if kind in NESTED:
                self._descend()
            else:
                self._end_row()

    def _step_in_row(self, kind: str, value: Any) -> None:
        self._row_size += (len(value if value.isascii() else value.encode()) or 1) if isinstance(value, str) else 8
        if self._row_size > self._max_row_bytes:
            raise self._reader.too_large()
        at_member = self._depth == self._rows_depth + 1 and isinstance(self._row, dict)
        if kind == "map_key":
            if at_member:
                self._row_key = value
        elif kind in ("end_map", "end_array"):
            self._depth -= 1
            if self._depth == self._rows_depth:
                self._end_row()
        else:
            self._row_values += 1
            if self._row_values > MAX_VALUES:
                self._row = TOO_MANY_VALUES
            elif at_member:
                self._row[self._row_key] = NESTED.get(kind, value)  # type: ignore[index]
            if kind in NESTED:
                self._descend()

    def _end_row(self) -> None:
        row, self._row = self._row, None
        name, email = self._row_members.pick(row) if isinstance(row, dict) else (row, row)
        self._names.append(name)
        self._emails.append(email)
        self._reader.row_count += 1

    def _step_outside(self, kind: str, value: Any) -> None:
        self.frame.add(value)
        if kind == "map_key":
            if self._depth == 1:
                self.frame.begin_member(value)
        elif kind in ("end_map", "end_array"):
            self._depth -= 1
        elif self._depth == 0 and kind not in NESTED:
            raise MalformedInput(
                f"Invalid JSON format: expected an array of contacts or an object with data, found {_NOUNS[kind]}."
            )
        else:
            if kind == "start_array" and (self._depth == 0 or (self._depth == 1 and self.frame.is_at_data)):
                self.frame.data_type = list
                self._rows_depth = self._depth + 1
            elif self._depth == 1:
                self.frame.keep(NESTED.get(kind, value))
            if kind in NESTED:
                self._descend()

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise MalformedInput(f"Invalid JSON format: nested more than {MAX_DEPTH} levels deep.")
