"""The server's end of a connection, which waits for its client only within limits.

Python counts the time-out of `sendall` for the whole call, and gunicorn sets none; here every piece has its own.
Answers of requests that are no transfers or streams wait for nobody: what cannot be sent at once is kept for later.
"""

import errno
import socket
import time
from collections import deque
from typing import Any, Final

PIECE_BYTES: Final = 64 * 1024


class AnswerSocket(socket.socket):
    """A client may take `stall_seconds` for PIECE_BYTES, and a read waits as long; with `defers` neither waits."""

    __slots__ = ("_unsent", "defers", "is_put_off", "stall_seconds", "unsent_bytes")

    def __init__(self, taken_over: socket.socket, stall_seconds: float) -> None:
        super().__init__(taken_over.family, taken_over.type, taken_over.proto, fileno=taken_over.detach())
        self.stall_seconds = stall_seconds
        self.defers = True
        self.is_put_off = False  #: whether the request is to be refused because all threads for its kind are busy
        self._unsent: deque[memoryview] = deque()
        self.unsent_bytes = 0

    def setblocking(self, flag: bool) -> None:
        timeout = self.stall_seconds if flag and not self.defers else 0.0
        if timeout != self.gettimeout():  # to set it costs a call of the system
            self.settimeout(timeout)

    def send(self, data: Any, flags: int = 0) -> int:
        if not self.defers:
            return super().send(data, flags)
        self._send_or_keep(memoryview(data))
        return len(data)

    def sendall(self, data: Any, _flags: int = 0) -> None:
        """:raises BrokenPipeError: when the client does not take a piece within `stall_seconds`."""
        view = memoryview(data)
        if self.defers:
            self._send_or_keep(view)
        elif self.gettimeout() == 0:
            super().sendall(view)
        else:
            for start in range(0, len(view), PIECE_BYTES):
                self._send_piece(view[start : start + PIECE_BYTES])

    def send_unsent(self) -> None:
        """Send as much of what was kept as fits; `unsent_bytes` are left."""
        while self._unsent:
            view = self._unsent.popleft()
            sent = self._send_now(view)
            self.unsent_bytes -= sent
            if sent < len(view):
                self._unsent.appendleft(view[sent:])
                return

    def _send_or_keep(self, view: memoryview) -> None:
        sent = 0 if self._unsent else self._send_now(view)
        if sent < len(view):
            self._unsent.append(view[sent:])
            self.unsent_bytes += len(view) - sent

    def _send_now(self, view: memoryview) -> int:
        try:
            return super().send(view)
        except BlockingIOError:
            return 0

    def _send_piece(self, piece: memoryview) -> None:
        timeout, deadline = self.gettimeout(), time.monotonic() + self.stall_seconds
        try:
            while piece:
                # Zero would mean not to wait, which is another error.
                self.settimeout(max(deadline - time.monotonic(), 0.001))
                piece = piece[super().send(piece) :]
        except TimeoutError:
            # gunicorn treats this as a client that has hung up.
            raise BrokenPipeError(errno.EPIPE, f"the client took nothing for {self.stall_seconds:g} s") from None
        finally:
            self.settimeout(timeout)
