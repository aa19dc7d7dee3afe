"""The client's end of a request: its bytes, the measured wait for them, and whether it is still connected."""

import fcntl
import select
import socket
import struct
import sys
import termios
from contextlib import closing, suppress
from typing import Final

from dataflow.web.server.transfers import LOOK_UP_SECONDS, Transfer

#: More would not be faster, and gunicorn keeps two copies, beside the buffer that is accounted for.
MAX_RECEIVE_BYTES: Final = 128 * 1024


class MeteredSocket:
    """Replaces a socket without a time-out where gunicorn reads a body, so heads of chunks and trailers count, too."""

    def __init__(self, line: socket.socket, transfer: Transfer) -> None:
        self._line = line
        self._transfer = transfer
        self._poll = select.poll()
        self._poll.register(line, select.POLLIN)
        self._ahead = bytearray()  #: that nobody has asked for yet

    @property
    def at_hand_bytes(self) -> int:
        waiting: int = struct.unpack("i", fcntl.ioctl(self._line, termios.FIONREAD, bytes(4)))[0]
        return len(self._ahead) + waiting

    def give_back(self) -> bytes:
        """The bytes read ahead that nobody asked for: they belong to the next request."""
        ahead, self._ahead = bytes(self._ahead), bytearray()
        return ahead

    def read_ahead(self, max_bytes: int) -> None:
        """Keep at most `max_bytes` for `recv`: behind bytes that nobody takes, a client's leaving would not be seen."""
        with suppress(BlockingIOError, ConnectionError):
            while (room := max_bytes - len(self._ahead)) > 0:
                piece = self._line.recv(min(room, MAX_RECEIVE_BYTES), socket.MSG_DONTWAIT)
                if not piece:
                    return
                self._transfer.pace.note(len(piece))
                self._ahead += piece

    def recv(self, size: int) -> bytes:
        """:raises RequestError: upload_stalled, upload_displaced while the client is waited for."""
        size = min(size, MAX_RECEIVE_BYTES)
        if self._ahead:
            taken = bytes(self._ahead[:size])
            del self._ahead[:size]
            return taken
        if self._transfer.is_displaced:
            self._transfer.check()
        try:
            piece = self._line.recv(size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._wait()
            piece = self._line.recv(size)
        self._transfer.pace.note(len(piece))
        return piece

    def _wait(self) -> None:
        pace = self._transfer.pace
        pace.begin_wait()
        try:
            while not self._poll.poll(1000 * max(0.0, min(LOOK_UP_SECONDS, pace.left_seconds))):
                self._transfer.check()
        finally:
            pace.end_wait()


def has_left(line: socket.socket) -> bool:
    """Whether the client has closed its end, even behind bytes that nobody has read yet."""
    if sys.platform == "linux":
        poll = select.poll()
        poll.register(line, select.POLLRDHUP)
        return bool(poll.poll(0))
    with closing(select.kqueue()) as queue:
        asked = select.kevent(line, select.KQ_FILTER_READ, select.KQ_EV_ADD)
        return any(event.flags & select.KQ_EV_EOF for event in queue.control([asked], 1, 0))
