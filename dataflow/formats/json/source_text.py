"""The rows of a JSON document as text again, from their events, for the few that are refused.

ijson does not tell where an event stood, so a row is written anew: all members in their order, equal keys included.
"""

import json
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from dataflow.formats.json.row_shape import Event

_OPENINGS: Final = {"start_map": "{", "start_array": "["}
_CLOSINGS: Final = {"end_map": "}", "end_array": "]"}
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


class EventOrigin:
    """Runs of events, each of rows of one length or of a single row."""

    def __init__(self) -> None:
        self._starts: list[int] = []  #: of each run, its first row
        self._runs: list[tuple[Sequence[Sequence[Event]], int]] = []  #: its events, and how many make a row

    def add_rows(self, start: int, events: Sequence[Event], length: int) -> None:
        self._starts.append(start)
        self._runs.append(((events,), length))

    def add_row(self, start: int, parts: Sequence[Sequence[Event]]) -> None:
        self._starts.append(start)
        self._runs.append((parts, 0))

    def line(self, _index: int) -> int | None:
        return None

    def row(self, index: int) -> str:
        at = bisect(self._starts, index) - 1
        parts, length = self._runs[at]
        begin = (index - self._starts[at]) * length
        events = parts[0][begin : begin + length] if length else chain.from_iterable(parts)
        return "".join(_written(events))


def _written(events: Iterable[Event]) -> Iterator[str]:
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
