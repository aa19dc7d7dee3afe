"""Connections that hold no thread: silent, in the middle of a head, kept alive, taking an answer, being closed.

Each costs a file descriptor and what it has sent; one thread looks after all of them and never waits for any.
"""

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, Final

from dataflow.web.server.answer_socket import PIECE_BYTES
from dataflow.web.server.connection import Connection, Phase

#: As gunicorn reads, and no more: the body's reader should see when its bytes come.
_READ_BYTES: Final = 8 * 1024
#: A client may go on sending for so long after its answer: closing earlier would reset the connection, and many
#: libraries read no answer before they have sent all.
LINGER_SECONDS: Final = 5.0
#: All unfinished heads and untaken answers of a process.
MAX_HELD_BYTES: Final = 32 * 1024 * 1024
#: A silent connection younger than this is counted as an upload that is about to come.
NEW_SECONDS: Final = 1.0


class Connections:
    """All of one process that hold no thread.

    `on_head` is told when a thread can go on with one, `on_end` when one has been closed.
    """

    def __init__(
        self,
        poller: selectors.BaseSelector,
        on_head: Callable[[Connection], None],
        on_end: Callable[[], None],
        seconds: dict[Phase, float],
    ) -> None:
        self._poller = poller
        self._on_head = on_head
        self._on_end = on_end
        self._seconds = seconds
        self._held_bytes = 0
        # In each the oldest is first, and the first whose time is up.
        self._waiting: dict[Phase, dict[Connection, None]] = {phase: {} for phase in Phase}

    def expect_first_request(self, connection: Connection) -> None:
        self._expect_request(connection, b"", Phase.SILENT)

    def _expect_request(self, connection: Connection, sent_already: bytes, phase: Phase) -> None:
        # It has often come already; then the poller need not be asked.
        connection.sock.setblocking(False)
        sent_already = connection.behind_body(sent_already)
        if not sent_already:
            with suppress(OSError):  # nothing is here, or the client has gone, which the poller will tell
                sent_already = connection.behind_body(connection.sock.recv(_READ_BYTES))
        if sent_already and connection.head.feed(sent_already):
            self._on_head(connection)
        else:
            self._wait(connection, Phase.HEAD if connection.is_amid_request else phase, self._read_head)

    def finish_answer(self, connection: Connection) -> None:
        """Have the client take what is left of its answer; then wait for its next request, or close."""
        if connection.sock.unsent_bytes:
            self._wait(connection, Phase.ANSWER, self._send_rest, selectors.EVENT_WRITE)
        elif connection.is_kept:
            # Clients need not wait for one answer to ask for the next.
            self._expect_request(connection, connection.parser.unreader.take_buffered(), Phase.KEPT)
        else:
            self.close(connection)

    def close(self, connection: Connection) -> None:
        """Shut down our direction, and close when the client has closed (RFC 9112 section 9.6)."""
        try:
            connection.sock.setblocking(False)
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(connection)
        else:
            self._wait(connection, Phase.CLOSING, self._discard)

    def end_overdue(self, now: float) -> None:
        for waiting in self._waiting.values():
            while (first := next(iter(waiting), None)) and first.deadline <= now:
                self._end(first)

    def end_phases(self, *phases: Phase) -> None:
        for phase in phases:
            for connection in list(self._waiting[phase]):
                self._end(connection)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def end_oldest(self, *phases: Phase, but: Connection | None = None) -> bool:
        """Close the oldest in the first of `phases` (default: all) that has any; False when none has."""
        for phase in phases or Phase:
            oldest = next((each for each in islice(self._waiting[phase], 2) if each is not but), None)
            if oldest:
                self._end(oldest)
                return True
        return False

    def count_new(self, now: float, most: int) -> int:
        """How many, up to `most`, are younger than NEW_SECONDS and have sent no request."""
        return sum(1 for _ in islice(self._new(now), most))

    def _new(self, now: float) -> Iterator[Connection]:
        for phase in (Phase.SILENT, Phase.HEAD):
            for connection in reversed(self._waiting[phase]):
                if now - connection.accepted_at > NEW_SECONDS:
                    break
                yield connection

    def _wait(
        self,
        connection: Connection,
        phase: Phase,
        act: Callable[[Connection, Any], None],
        event: int = selectors.EVENT_READ,
    ) -> None:
        connection.sock.setblocking(False)
        try:
            self._poller.register(connection.sock, event, partial(act, connection))
        except (OSError, ValueError):  # no memory for one more, or a thread has closed it
            self._end(connection)
            return
        self._enter(connection, phase)
        self._hold(connection, len(connection.head.content) + connection.sock.unsent_bytes)

    def _enter(self, connection: Connection, phase: Phase) -> None:
        if connection.phase:
            del self._waiting[connection.phase][connection]
        connection.phase, connection.deadline = phase, time.monotonic() + self._seconds[phase]
        self._waiting[phase][connection] = None

    def _leave(self, connection: Connection) -> None:
        if connection.phase:
            self._poller.unregister(connection.sock)
            del self._waiting[connection.phase][connection]
            self._held_bytes -= connection.held_bytes
            connection.phase, connection.held_bytes = None, 0

    def _hold(self, connection: Connection, size_bytes: int) -> None:
        self._held_bytes += size_bytes - connection.held_bytes
        connection.held_bytes = size_bytes
        while self._held_bytes > MAX_HELD_BYTES and self.end_oldest(Phase.HEAD, Phase.ANSWER):
            pass

    def _end(self, connection: Connection) -> None:
        self._leave(connection)
        connection.close()
        self._on_end()

    def _read_head(self, connection: Connection, _: Any) -> None:
        content = self._receive(connection, _READ_BYTES)
        piece = connection.behind_body(content)
        if piece and connection.head.feed(piece):
            self._leave(connection)
            self._on_head(connection)
        elif content:
            phase = Phase.HEAD if connection.is_amid_request else Phase.KEPT
            if connection.phase is not phase:
                self._enter(connection, phase)
            self._hold(connection, len(connection.head.content))

    def _send_rest(self, connection: Connection, _: Any) -> None:
        if connection.phase is None:
            return
        try:
            connection.sock.send_unsent()
        except OSError:
            self._end(connection)
            return
        unsent_bytes = connection.sock.unsent_bytes
        if not unsent_bytes:
            self._leave(connection)
            self.finish_answer(connection)
        elif connection.held_bytes - unsent_bytes >= PIECE_BYTES:
            self._enter(connection, Phase.ANSWER)
            self._hold(connection, unsent_bytes)

    def _discard(self, connection: Connection, _: Any) -> None:
        self._receive(connection, PIECE_BYTES)

    def _receive(self, connection: Connection, size: int) -> bytes:
        if connection.phase is None:  # it was closed by what came before it in the same round of events
            return b""
        try:
            piece = connection.sock.recv(size)
        except BlockingIOError:
            return b""
        except OSError:
            piece = b""
        if not piece:
            self._end(connection)
        return piece
