"""The bytes of one JSON document become events, within limits that ijson and yajl do not have.

What the events mean is left to `document`.
"""

from collections.abc import Iterator

import ijson
from ijson.backends import yajl2_c

from dataflow.errors import MalformedInput, RowTooLarge
from dataflow.formats.block import cut
from dataflow.formats.json.escapes import EscapeCheck
from dataflow.formats.json.source_text import Event, EventList
from dataflow.formats.reading import Findings
from dataflow.formats.signs import EndSigns


class EventReader:
    """Each list of events must be worked off before the next is asked for. Those before a fault come first."""

    def __init__(self, max_row_bytes: int, findings: Findings) -> None:
        self.row_count = 0  #: kept by whoever works off the events: messages say how far it got
        findings.facts.setdefault("encoding", "utf-8")
        self._max_row_bytes = max_row_bytes
        self._escapes = EscapeCheck()
        self._end = EndSigns(b"")
        self._events = EventList()
        self._parser = yajl2_c.basic_parse_coro(self._events, use_float=True)
        self._silent_bytes = 0

    def parts(self, piece: bytes) -> Iterator[bytes]:
        """A piece of the document in parts to be read or skipped, without what may be the signs of its end.

        :raises MalformedInput: when it holds half a surrogate pair.
        """
        for part in cut(self._end.feed(piece)):
            self._escapes.feed(part)
            yield part

    def read(self, part: bytes) -> Iterator[list[Event]]:
        """The events of the next part, or of a piece of it.

        :raises MalformedInput: when the document is no JSON.
        :raises RowTooLarge: when `max_row_bytes` pass without an event.
        """
        try:
            self._parser.send(part)
        except (ValueError, ijson.JSONError) as error:
            yield self._events
            self._escapes.close()
            raise self._malformed(error) from error
        self._silent_bytes = 0 if self._events else self._silent_bytes + len(part)
        if self._silent_bytes > self._max_row_bytes:
            raise self.too_large()
        yield self._events
        self._events.clear()

    def skip(self, row_count: int) -> None:
        """Leave out whole rows, of which others have taken care, between the comma before them and that behind them."""
        self._silent_bytes = 0
        self.row_count += row_count

    def close(self) -> Iterator[list[Event]]:
        """The last events of the document.

        :raises MalformedInput: when it is not complete.
        """
        self._escapes.close()
        try:
            # The line end completes a number, and shows yajl a text that is left open behind the document.
            yield from self.read(b"\n")
            self._parser.close()
        except (MalformedInput, ValueError, ijson.JSONError) as error:
            raise self._invalid("the document ends too early") from error

    def too_large(self) -> RowTooLarge:
        number = self.row_count + 1
        return RowTooLarge(
            f"Row {number} or what follows it is larger than {self._max_row_bytes} bytes (MAX_ROW_BYTES)."
        )

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
