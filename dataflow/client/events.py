"""Server-sent events: the parser of the HTML standard, and the events of one answer as they come.

See https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

import codecs
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

import requests

from dataflow.client.service import BrokenOff, pieces

_LINE_END: Final = re.compile("\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Event:
    kind: str  #: `message` unless the server says another
    content: str


class EventParser:
    """What it has been told of for the next connection is in `last_event_id` and `retry_seconds`."""

    def __init__(self, last_event_id: str = "", retry_seconds: float = 1.0) -> None:
        self.last_event_id, self.retry_seconds = last_event_id, retry_seconds
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._kind, self._content, self._event_id = "", list[str](), last_event_id
        self._rest = ""

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that end in this piece; what is begun waits for the next."""
        text = self._rest + self._decoder.decode(piece)
        # The half of a line end.
        held = "\r" if text.endswith("\r") else ""
        *lines, rest = _LINE_END.split(text.removesuffix(held))
        self._rest = rest + held
        for line in lines:
            if line:
                self._take(line)
            elif (event := self._end()) is not None:
                yield event

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._content.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._event_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_seconds = int(value) / 1000

    def _end(self) -> Event | None:
        event = Event(self._kind or "message", "\n".join(self._content)) if self._content else None
        self._kind, self._content, self.last_event_id = "", [], self._event_id
        return event


def events(response: requests.Response, parser: EventParser, seconds: float) -> Iterator[list[Event] | None]:
    """The events of what comes, which may be none, and None whenever nothing has come for so many seconds.

    :raises BrokenOff: when the connection breaks; an answer that ends has no more events.
    """
    found: SimpleQueue[bytes | BrokenOff | None] = SimpleQueue()
    # Whoever waits has other things to look at, and a read that was given up half-way could not be gone on with.
    reader = threading.Thread(target=_read, args=(response, found), daemon=True)
    reader.start()
    try:
        while True:
            try:
                piece = found.get(timeout=seconds)
            except Empty:
                yield None
                continue
            if piece is None:
                return
            if isinstance(piece, BrokenOff):
                raise piece
            yield list(parser.feed(piece))
    finally:
        with suppress(ValueError, RuntimeError):  # it has been read to its end
            response.raw.shutdown()
        reader.join()


def _read(response: requests.Response, found: SimpleQueue[bytes | BrokenOff | None]) -> None:
    try:
        for piece in pieces(response):
            found.put(piece)
        found.put(None)
    except BrokenOff as error:
        found.put(error)
