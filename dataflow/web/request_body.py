"""The body of a request as pieces, never held as a whole.

gunicorn reports a client that vanished as a clean end of the body, so bytes are counted against Content-Length; its
exceptions for broken chunks, and any OSError, mean the same.
"""

import fcntl
import socket
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import suppress

from flask import Request

from dataflow.errors import ClientVanished, RequestError, UploadStalled
from dataflow.formats import PIECE_BYTES

FIRST_READ_BYTES = 1024
SMALLEST_READ_BYTES = 64
#: Asked for when nothing is here yet. gunicorn may have a few KiB, which should not be taken byte by byte.
BLIND_READ_BYTES = 256
#: A refused body up to this size is read all the same: most of it is here already.
SMALL_BODY_BYTES = 16 * 1024
#: A read that takes longer is made smaller the next time, so that a slow body still shows a sign of life in time.
SLOW_READ_SECONDS = 1.0


class RawBody:
    """The bytes of one request; `is_complete` once all of them have been read."""

    def __init__(self, request: Request, stall_seconds: float) -> None:
        self._request = request
        self._stall_seconds = stall_seconds
        self._socket: socket.socket | None = request.environ.get("gunicorn.socket")
        self.is_complete = False

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes, at most PIECE_BYTES at a time, less from a slow client.

        :raises UploadStalled: when the client sends nothing for `stall_seconds`.
        :raises ClientVanished: when the body ends before its declared length or last chunk.
        """
        if self._socket is not None:
            # The only cut-off there is: gunicorn's own time-out does not free a thread.
            self._socket.settimeout(self._stall_seconds)
        received, declared = 0, self._request.content_length
        for piece in self._steps():
            received += len(piece)
            yield piece
        if declared is not None and received < declared:
            raise ClientVanished(f"The body ended after {received} of {declared} bytes.")
        self.is_complete = True

    def _steps(self) -> Iterator[bytes]:
        """What comes next until the end, in steps that a slow client fills in about a second."""
        size, began = FIRST_READ_BYTES, time.monotonic()
        while piece := self._read(step := min(size, self._at_hand_bytes())):
            slow = time.monotonic() - began > SLOW_READ_SECONDS
            size = max(step // 4, SMALLEST_READ_BYTES) if slow else min(size * 2, PIECE_BYTES)
            yield piece
            began = time.monotonic()

    def _at_hand_bytes(self) -> int:
        """How much may be asked for: gunicorn returns no less, and a fast client can turn slow at any byte."""
        if self._socket is None:
            return PIECE_BYTES
        count: int = struct.unpack("i", fcntl.ioctl(self._socket, termios.FIONREAD, bytes(4)))[0]
        return max(count, BLIND_READ_BYTES)

    def _read(self, size: int) -> bytes:
        try:
            piece: bytes = self._request.stream.read(size)
        except TimeoutError as error:
            raise UploadStalled(
                f"The client sent nothing for {self._stall_seconds:g} s (UPLOAD_STALL_SECONDS)."
            ) from error
        except Exception as error:
            # Whatever reading a client's bytes raises, the client's bytes are the cause.
            raise ClientVanished("The body broke off before its end.") from error
        return piece

    def announce_end(self) -> None:
        """Have the head of the answer say that `drop` will hang up behind it (RFC 9112 section 9.6)."""
        if not self.is_complete and not self._is_small() and self._socket is not None:
            self._request.environ["wsgi.input"].force_close()  # see gunicorn_conf

    def drop(self, seconds: float) -> None:
        """After the answer to a body that was not read to its end: take in the rest for a while, else hang up.

        Without it a client that is still sending meets a reset, and its library throws the answer away. gunicorn
        would wait as well, but in the one thread that accepts connections (measured: 2 s for each such client).
        """
        if self._socket is None or self.is_complete:
            return
        deadline = time.monotonic() + seconds
        with suppress(RequestError, OSError):  # the client has gone, or says nothing more: either way this is the end
            if self._is_small() and self._read_rest(deadline):
                return
            self._socket.shutdown(socket.SHUT_WR)
            while (left_seconds := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left_seconds)
                if not self._socket.recv(PIECE_BYTES):
                    break
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _is_small(self) -> bool:
        is_chunked = "Transfer-Encoding" in self._request.headers
        return not is_chunked and (self._request.content_length or 0) <= SMALL_BODY_BYTES

    def _read_rest(self, deadline: float) -> bool:
        """Read a small body to its end, so that the connection stays usable; False when that takes too long."""
        return all(time.monotonic() <= deadline for _ in self._steps())
