"""The client's end of a request: its bytes as they come, with the wait for them measured, and whether it is there."""

import fcntl
import select
import socket
import struct
import sys
import termios
from contextlib import closing, suppress
from typing import Final

from dataflow.web.server.transfers import LOOK_UP_SECONDS, Transfer

#: At once. More would not be faster, and gunicorn keeps it, and a copy, beside the buffer that is accounted for.
MAX_RECEIVE_BYTES: Final = 128 * 1024


class MeteredSocket:
    """Takes the socket's place where gunicorn reads a body, so that heads of chunks and trailers count as well.

    The socket has to be without a time-out of its own.
    """

    def __init__(self, line: socket.socket, transfer: Transfer) -> None:
        self._line = line
        self._transfer = transfer
        self._poll = select.poll()
        self._poll.register(line, select.POLLIN)
        self._ahead = bytearray()  #: received, but not asked for yet

    @property
    def at_hand_bytes(self) -> int:
        """How much `recv` gives without waiting."""
        waiting: int = struct.unpack("i", fcntl.ioctl(self._line, termios.FIONREAD, bytes(4)))[0]
        return len(self._ahead) + waiting

    def give_back(self) -> bytes:
        """What was read ahead and never asked for: it belongs to the next request."""
        ahead, self._ahead = bytes(self._ahead), bytearray()
        return ahead

    def read_ahead(self, max_bytes: int) -> None:
        """Take in what has come, so that no more than `max_bytes` are kept for `recv`.

        What does not fit into the socket's buffer waits at the client's end, and with it the news that it has left.
        """
        with suppress(BlockingIOError, ConnectionError):
            while (room := max_bytes - len(self._ahead)) > 0:
                received = self._line.recv(min(room, MAX_RECEIVE_BYTES), socket.MSG_DONTWAIT)
                if not received:
                    return
                self._transfer.pace.note(len(received))
                self._ahead += received

    def recv(self, size: int) -> bytes:
        """What has come, at least a byte unless the client has ended.

        :raises UploadStalled, UploadDisplaced: while it is waited for.
        """
        size = min(size, MAX_RECEIVE_BYTES)
        if self._ahead:
            taken = bytes(self._ahead[:size])
            del self._ahead[:size]
            return taken
        if self._transfer.is_displaced:
            self._transfer.check()
        try:
            received = self._line.recv(size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._wait()
            received = self._line.recv(size)
        self._transfer.pace.note(len(received))
        return received

    def _wait(self) -> None:
        pace = self._transfer.pace
        pace.begin_wait()
        try:
            while not self._poll.poll(1000 * max(0.0, min(LOOK_UP_SECONDS, pace.left_seconds))):
                self._transfer.check()
        finally:
            pace.end_wait()


def has_left(line: socket.socket) -> bool:
    """Whether the client has closed its end; what it has sent before, and nobody has read, does not hide that."""
    if sys.platform == "linux":
        poll = select.poll()
        poll.register(line, select.POLLRDHUP)
        return bool(poll.poll(0))
    with closing(select.kqueue()) as queue:
        asked = select.kevent(line, select.KQ_FILTER_READ, select.KQ_EV_ADD)
        return any(event.flags & select.KQ_EV_EOF for event in queue.control([asked], 1, 0))
