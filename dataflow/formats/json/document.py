"""JSON documents: an array of contacts, or the request object {source, data: [...], useResumable} in any order.

Whole rows are decoded many at a time by `whole_rows`, and left out of what the parser of events is fed. What stands
around them, a row that is cut, and a stretch that is not sure go the careful way, event by event.

Why it is so: the events are walked by hand because ijson's `items` crashes on long integers (4,301 digits), needs
quadratic memory for nested arrays, mistakes the key "data.item" for a row, and cannot see `source` in the same pass.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from ijson import ObjectBuilder

from dataflow.errors import MalformedInput
from dataflow.formats.block import Block, Malformed, cut
from dataflow.formats.columns.addresses import shown
from dataflow.formats.json import whole_rows
from dataflow.formats.json.events import EventReader
from dataflow.formats.json.frame import NESTED, Frame
from dataflow.formats.json.members import MAX_VALUES, TOO_MANY_VALUES, Contact, Members
from dataflow.formats.json.source_text import Event, RowTexts
from dataflow.formats.reading import Findings, Reading

MAX_DEPTH = 32
_ROW_TYPES: Final = frozenset((dict, Contact, Malformed))
_NESTED_TYPES: Final = frozenset((dict, list))
_ENDS: Final = frozenset(("end_map", "end_array"))
#: Ends of nested values that are tried before the end of a row.
_MAX_TRIES: Final = 32


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
        others = f" It has: {shown(walker.frame.others)}." if walker.frame.others else ""
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
        self._row: list[Event] = []  #: the events of the row that has begun but not ended
        self._row_size = self._row_values = 0
        self._row_members = Members(reading, findings)
        self._first_key = b""  #: of the last row that went the careful way
        self._is_behind_row = False  #: the event that came last is the end of an object among the rows
        self._names: list[object] = []
        self._emails: list[object] = []
        self._texts = RowTexts()

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
        for part in self._reader.parts(piece):
            self._read(part)
        if not self._names:
            return None
        block = Block(self.row_count - len(self._names), self._names, self._emails, self._texts)
        self._names, self._emails, self._texts = [], [], RowTexts()
        return block

    def close(self) -> None:
        """:raises MalformedInput: when the document is not complete."""
        self._walk(self._reader.close())

    def _read(self, part: bytes) -> None:
        start = self._read_to_row(part)
        for end in whole_rows.ends_of_rows(part, start, self._first_key) if self._is_behind_row else ():
            if end > start and self._take(part[start:end]):
                start = end
                break
        self._read_events(part[start:])

    def _read_to_row(self, part: bytes) -> int:
        """Read to the first place where a row may begin, behind `},`; how far that is."""
        start = 0
        for _ in range(_MAX_TRIES):
            end = whole_rows.end_of_row(part, start)
            if end < 0:
                break
            self._read_events(part[start:end])
            start = end
            # A text that holds `},` may have begun, but only behind a comma, and this is the first behind the row.
            if self._is_behind_row:
                break
        return start

    def _read_events(self, part: bytes) -> None:
        self._is_behind_row = False
        if part:
            self._walk(self._reader.read(part))

    def _take(self, text: bytes) -> bool:
        """Whether `text`, which ends with a comma, is surely whole rows; they are taken then."""
        if len(text) * whole_rows.ROW_SHARE > self._max_row_bytes or not (rows := whole_rows.of_array(text[:-1])):
            return False
        self._add(rows, text[:-1])
        self._reader.skip(len(rows))
        return True

    def _add(self, values: Sequence[Any], text: Sequence[Event] | bytes) -> None:
        self._texts.add(len(self._names), text)
        if type(values[0]) is not Contact:
            values = [row if type(row) in _ROW_TYPES else _no_object(row) for row in values]
        names, emails = self._row_members.columns(values)
        self._names += _as_types(names)
        self._emails += _as_types(emails)

    def _walk(self, batches: Iterable[list[Event]]) -> None:
        for events in batches:
            for kind, value in events:
                if self._row:
                    self._step_in_row(kind, value)
                elif self._is_between_rows():
                    self._step_between_rows(kind, value)
                else:
                    self._step_outside(kind, value)
            self._is_behind_row = bool(events) and events[-1][0] == "end_map" and self._is_between_rows()

    def _is_between_rows(self) -> bool:
        return not self._row and self._rows_depth > 0 and self._depth == self._rows_depth

    def _step_between_rows(self, kind: str, value: object) -> None:
        if kind == "end_array":
            self._depth -= 1
            self._rows_depth = 0
            return
        self._row, self._row_size, self._row_values = [(kind, value)], 0, 0
        if kind in NESTED:
            self._descend()
        else:
            self._end_row()

    def _step_in_row(self, kind: str, value: Any) -> None:
        self._row_size += (len(value if value.isascii() else value.encode()) or 1) if isinstance(value, str) else 8
        if self._row_size > self._max_row_bytes:
            raise self._reader.too_large()
        # A refused row shows less than this.
        if self._row_values <= MAX_VALUES:
            self._row.append((kind, value))
        if kind in _ENDS:
            self._depth -= 1
            if self._depth == self._rows_depth:
                self._end_row()
        elif kind != "map_key":
            self._row_values += 1
            if kind in NESTED:
                self._descend()

    def _end_row(self) -> None:
        events, self._row = self._row, []
        self._add([_built(events) if self._row_values <= MAX_VALUES else TOO_MANY_VALUES], events)
        self._reader.row_count += 1
        if events[1:] and events[1][0] == "map_key":
            self._first_key = events[1][1].encode()

    def _step_outside(self, kind: str, value: Any) -> None:
        self.frame.add(value)
        if kind == "map_key":
            if self._depth == 1:
                self.frame.begin_member(value)
        elif kind in _ENDS:
            self._depth -= 1
        elif self._depth == 0 and kind not in NESTED:
            raise MalformedInput(
                f"Invalid JSON format: expected an array of contacts or an object with data, found {_noun_of(value)}."
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


def _built(events: Iterable[Event]) -> Any:
    builder = ObjectBuilder()
    for event in events:
        builder.event(*event)
    return builder.value


def _as_types(values: list[object]) -> Iterable[object]:
    if _NESTED_TYPES.isdisjoint(map(type, values)):
        return values
    return [type(value) if type(value) in _NESTED_TYPES else value for value in values]


def _no_object(value: object) -> Malformed:
    return Malformed(f"Expected an object, found {_noun_of(value)}")


def _noun_of(value: object) -> str:
    nouns = {type(None): "null", bool: "true or false", str: "a string", list: "an array"}
    return nouns.get(type(value), "a number")
