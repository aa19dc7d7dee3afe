"""One client's connection as bytes: reading, writing, pacing, and the ways to end it. Knows nothing of HTTP."""

import contextlib
import fcntl
import os
import select
import socket
import struct
import termios
import time
from collections.abc import Callable
from typing import Final

#: One write to the file and one step of the pace; large enough that a chunk costs little more than copying it.
BUFFER_BYTES: Final = 1 << 20
#: How often a wait looks at the reasons to end it.
GLANCE_SECONDS: Final = 0.02
#: How long the rest of a refused body is taken in before the connection is closed on it.
LINGER_SECONDS: Final = 10.0
#: The client's FIN; elsewhere than on Linux only the end of the whole connection can be seen without reading.
_FIN: Final = getattr(select, "POLLRDHUP", select.POLLHUP)


class ClientGone(Exception):
    """The connection is of no more use."""


class ClientFinished(ClientGone):
    """The client sent FIN in the middle of something; it may still be listening."""


class Interrupted(Exception):
    """The caller's own reason to stop reading came true."""


def never() -> bool:
    return False


class Pace:
    """Holds a body to a rate: each step waits until the bytes so far were due."""

    def __init__(self, bytes_per_second: float | None) -> None:
        self._rate = bytes_per_second
        self._began: float | None = None
        # Fifty steps a second: smooth, and a wait never keeps a reason to stop waiting for long.
        self.step_bytes = min(BUFFER_BYTES, max(1024, int(bytes_per_second / 50))) if bytes_per_second else BUFFER_BYTES

    def start(self) -> None:
        if self._began is None:
            self._began = time.monotonic()

    def keep(self, bytes_so_far: int) -> None:
        if self._rate and self._began is not None:
            ahead_seconds = self._began + bytes_so_far / self._rate - time.monotonic()
            if ahead_seconds > 0:
                time.sleep(ahead_seconds)


class Wire:
    """A connected socket; used by one thread."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connected
        self._pending = bytearray()
        self._buffer: memoryview | None = None

    @property
    def buffer(self) -> memoryview:
        """The same memory each time."""
        if self._buffer is None:
            self._buffer = memoryview(bytearray(BUFFER_BYTES))
        return self._buffer

    def wait_for_bytes(self, seconds: float) -> bool:
        """False when nothing came in time."""
        return bool(self._pending) or self._poll(select.POLLIN, seconds)

    def is_gone(self) -> bool:
        return self._poll(_FIN, 0)

    def line(self, stop: Callable[[], bool] = never) -> bytes:
        """The next line without its end.

        :raises ClientFinished: when there is no whole line any more.
        """
        searched = 0
        while (end := self._pending.find(b"\n", searched)) < 0:
            searched = len(self._pending)
            taken = self._receive(self.buffer[: 1 << 16], stop)
            if not taken:
                raise ClientFinished
            self._pending += self.buffer[:taken]
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        return line.removesuffix(b"\r")

    def receive_into(self, view: memoryview, stop: Callable[[], bool] = never) -> int:
        """How many bytes were put at the start of `view`, at least one.

        :raises ClientFinished: when there are no more.
        :raises Interrupted: when `stop` came true first.
        """
        if self._pending:
            taken = min(len(view), len(self._pending))
            view[:taken] = self._pending[:taken]
            del self._pending[:taken]
            return taken
        if taken := self._receive(view, stop):
            return taken
        raise ClientFinished

    def _receive(self, view: memoryview, stop: Callable[[], bool]) -> int:
        while True:
            if stop():
                raise Interrupted
            try:
                return self._socket.recv_into(view, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._poll(select.POLLIN, GLANCE_SECONDS)
            except OSError as error:
                raise ClientGone from error

    def send(self, piece: bytes | memoryview) -> None:
        try:
            self._socket.sendall(piece)
        except OSError as error:
            raise ClientGone from error

    def send_file(self, descriptor: int, offset: int, count: int) -> None:
        """Bytes of a file, without a copy of them in this process."""
        try:
            while count:
                sent = os.sendfile(self._socket.fileno(), descriptor, offset, count)
                offset, count = offset + sent, count - sent
        except OSError as error:
            raise ClientGone from error

    def wait_until_sent(self) -> None:
        """Until the client's machine has everything: a reset takes back what it has not."""
        while _unsent_bytes(self._socket) and not self.is_gone():
            time.sleep(GLANCE_SECONDS / 10)

    def hold_unread(self, seconds: float) -> None:
        """Keep the connection, reading nothing, until the client gives up.

        After `seconds` FIN goes ahead of the RST that closing causes: a client that is still sending then comes to
        read the answer.
        """
        with contextlib.suppress(OSError):
            if not self._poll(_FIN, seconds):
                self._socket.shutdown(socket.SHUT_WR)

    def finish(self) -> None:
        """End it so that the client can read the answer: what it still sends is taken in and thrown away."""
        deadline = time.monotonic() + LINGER_SECONDS
        try:
            self._socket.shutdown(socket.SHUT_WR)
            while self._receive(self.buffer, lambda: time.monotonic() > deadline):
                pass
        except (OSError, ClientGone, Interrupted):
            pass
        self.close()

    def reset(self) -> None:
        """End it with RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self._socket.close()
        self._buffer = None

    def _poll(self, events: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, events)
        return bool(poll.poll(seconds * 1000))


def _unsent_bytes(connected: socket.socket) -> int:
    return int(struct.unpack("i", fcntl.ioctl(connected, termios.TIOCOUTQ, b"\0" * 4))[0])
