"""The rows of a JSON document as text again, for the few that are refused, all written in one way.

ijson does not tell where an event stood, so a row is written anew: all members in their order, equal keys included.
"""

import json
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from ijson.backends import yajl2_c

Event = tuple[str, Any]

_OPENINGS: Final = {"start_map": "{", "start_array": "["}
_CLOSINGS: Final = {"end_map": "}", "end_array": "]"}
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode
#: Written alike by both encoders, a fifth of a microsecond a value faster by msgspec.
_PLAIN: Final = frozenset((str, int, bool, type(None)))
_split: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class EventList(list[Event]):
    """What ijson sends its events to; appending in C costs a tenth of a Python generator."""

    send = list.append


class RowTexts:
    """The rows of a block: each is the events of one row, or one of many in a text without the brackets around."""

    def __init__(self) -> None:
        self._starts: list[int] = []  #: of each piece, its first row
        self._pieces: list[Sequence[Event] | bytes] = []
        self._split: tuple[int, list[msgspec.Raw]] = (-1, [])  #: the piece that was asked for last

    def add(self, start: int, piece: Sequence[Event] | bytes) -> None:
        self._starts.append(start)
        self._pieces.append(piece)

    def line(self, _index: int) -> int | None:
        return None

    def row(self, index: int) -> str:
        at = bisect(self._starts, index) - 1
        piece = self._pieces[at]
        if not isinstance(piece, bytes):
            return _written(piece)
        if self._split[0] != at:
            self._split = at, _split(b"[%b]" % piece)
        return _rewritten(bytes(self._split[1][index - self._starts[at]]))


def _rewritten(row: bytes) -> str:
    values = _decode(row)
    if isinstance(values, dict) and _PLAIN.issuperset(map(type, values.values())):
        texts = len(values) + sum(type(value) is str for value in values.values())
        # Each text has two quotes that are not escaped: of equal keys, which a dict has once, more would be here.
        if row.replace(rb"\\", b"").replace(rb"\"", b"").count(b'"') == 2 * texts:
            return msgspec.json.encode(values).decode()
    events = EventList()
    # The blank completes a number.
    yajl2_c.basic_parse_coro(events, use_float=True).send(row + b" ")
    return _written(events)


def _written(events: Iterable[Event]) -> str:
    return "".join(_parts(events))


def _parts(events: Iterable[Event]) -> Iterator[str]:
    follows = False  #: whether something stands before, on the same level
    for kind, value in events:
        if kind in _CLOSINGS:
            yield _CLOSINGS[kind]
            follows = True
            continue
        if follows:
            yield ","
        yield _OPENINGS.get(kind) or _encode(value)
        if kind == "map_key":
            yield ":"
        follows = kind != "map_key" and kind not in _OPENINGS
