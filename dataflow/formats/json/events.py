"""The bytes of one JSON document become events, within limits that ijson and yajl do not have.

What the events mean is left to `document`.
"""

from collections.abc import Iterator

import ijson
from ijson.backends import yajl2_c

from dataflow.errors import MalformedInput, RowTooLarge
from dataflow.formats.block import cut
from dataflow.formats.json.escapes import EscapeCheck
from dataflow.formats.json.row_shape import Event
from dataflow.formats.reading import Findings
from dataflow.formats.signs import EndSigns


class _EventList(list[Event]):
    """What ijson sends its events to; appending in C costs a tenth of a Python generator."""

    send = list.append


class EventReader:
    """Each list of events must be worked off before the next is asked for. Those before a fault come first."""

    def __init__(self, max_row_bytes: int, findings: Findings) -> None:
        self.row_count = 0  #: kept by whoever works off the events: messages say how far it got
        findings.facts.setdefault("encoding", "utf-8")
        self._max_row_bytes = max_row_bytes
        self._escapes = EscapeCheck()
        self._end = EndSigns(b"")
        self._events = _EventList()
        self._parser = yajl2_c.basic_parse_coro(self._events, use_float=True)
        self._silent_bytes = 0

    def feed(self, piece: bytes) -> Iterator[list[Event]]:
        """The events of the next piece.

        :raises MalformedInput: when the document is no JSON, or holds half a surrogate pair.
        :raises RowTooLarge: when `max_row_bytes` pass without an event.
        """
        for part in cut(self._end.feed(piece)):
            yield from self._read(part)

    def close(self) -> Iterator[list[Event]]:
        """The last events of the document.

        :raises MalformedInput: when it is not complete.
        """
        self._escapes.close()
        try:
            # The line end completes a number, and shows yajl a text that is left open behind the document.
            yield from self._read(b"\n")
            self._parser.close()
        except (MalformedInput, ValueError, ijson.JSONError) as error:
            raise self._invalid("the document ends too early") from error

    def too_large(self) -> RowTooLarge:
        number = self.row_count + 1
        return RowTooLarge(
            f"Row {number} or what follows it is larger than {self._max_row_bytes} bytes (MAX_ROW_BYTES)."
        )

    def _read(self, piece: bytes) -> Iterator[list[Event]]:
        self._escapes.feed(piece)
        try:
            self._parser.send(piece)
        except (ValueError, ijson.JSONError) as error:
            yield self._events
            self._escapes.close()
            raise self._malformed(error) from error
        self._silent_bytes = 0 if self._events else self._silent_bytes + len(piece)
        if self._silent_bytes > self._max_row_bytes:
            raise self.too_large()
        yield self._events
        self._events.clear()

    def _malformed(self, error: Exception) -> MalformedInput:
        reason = "invalid UTF-8"
        if isinstance(error, ijson.JSONError):
            text = error.args[0] if error.args else ""
            # Further lines quote the document around the fault: other people's rows.
            reason = (text.decode(errors="replace") if isinstance(text, bytes) else str(text)).partition("\n")[0]
            if "trailing garbage" in reason:
                reason = "something follows the document; send one document a line as application/x-ndjson"
        return self._invalid(reason.rstrip("."))

    def _invalid(self, reason: str) -> MalformedInput:
        return MalformedInput(f"Invalid JSON format: {reason} (after {self.row_count} complete rows).")
