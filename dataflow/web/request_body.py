"""The body of a request as pieces, never held as a whole.

gunicorn reports a client that vanished as a clean end of the body: bytes are counted against Content-Length.
"""

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Request

from dataflow.errors import RequestError, StorageError
from dataflow.formats.block import PIECE_BYTES
from dataflow.web.server.client_socket import MeteredSocket, has_left
from dataflow.web.server.transfers import FREE_BYTES, Transfers

FIRST_READ_BYTES = 1024
SMALLEST_READ_BYTES = 64
#: Asked for when nothing is here yet. gunicorn may have a few KiB, which should not be taken byte by byte.
BLIND_READ_BYTES = 256
#: A read that takes longer is made smaller the next time, so that a slow body still shows a sign of life in time.
SLOW_READ_SECONDS = 1.0


class RawBody:
    """The bytes of one request. To be closed before the answer."""

    def __init__(self, request: Request, transfers: Transfers, send_seconds: float) -> None:
        self._request = request
        self._transfers = transfers
        self._transfer = transfers.begin()
        self.stop = self._transfer.stop
        self._send_seconds = send_seconds
        self._socket: socket.socket | None = request.environ.get("gunicorn.socket")
        self._metered: MeteredSocket | None = None
        if self._socket is not None:
            self._metered = MeteredSocket(self._socket, self._transfer)
            request.environ["wsgi.input"].unreader.sock = self._metered  # see gunicorn_conf
        self._read_bytes = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Room for what is held of the body.

        :raises TooManyUploads: when there is none.
        :raises RequestError: incomplete_body when the client leaves meanwhile.
        :raises RequestError: upload_cut when the process ends while the storage is waited for.
        """
        try:
            # Of a body that does not say its length, once it shows that it is a large one.
            self._transfers.reserve(self._transfer, self._request.content_length or 0, self.has_left)
            yield
        except StorageError:
            if self.stop.is_set():
                self._transfer.check()
            raise
        finally:
            self._transfers.release(self._transfer)

    def evict(self) -> None:
        """See `Transfer.evict`."""
        self._transfer.evict()

    def has_left(self) -> bool:
        """Whether the client has closed its side. To see that, as much is read ahead as there is room reserved for."""
        if self._metered is None or self._socket is None:
            return False
        if amount := self._transfer.amount:
            self._wait_without_limit()
            self._metered.read_ahead(amount - self._read_bytes % amount)
        return has_left(self._socket)

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes, at most PIECE_BYTES at a time, less from a slow client.

        :raises RequestError: upload_stalled when the client is too slow, upload_displaced when others need its place.
        :raises RequestError: incomplete_body when the body ends before its declared length or last chunk.
        :raises TooManyUploads: when a body of undeclared length becomes a large one and there is no room for it.
        """
        declared = self._request.content_length
        for piece in self._steps():
            self._read_bytes += len(piece)
            if declared is None and self._read_bytes > FREE_BYTES and not self._transfer.amount:
                self._transfers.reserve(self._transfer, None, self.has_left)
            yield piece
        if declared is not None and self._read_bytes < declared:
            raise RequestError(f"The body ended after {self._read_bytes} of {declared} bytes.", code="incomplete_body")

    def _steps(self) -> Iterator[bytes]:
        self._wait_without_limit()
        size, began = FIRST_READ_BYTES, time.monotonic()
        while piece := self._read(step := min(size, self._at_hand_bytes())):
            slow = time.monotonic() - began > SLOW_READ_SECONDS
            size = max(step // 4, SMALLEST_READ_BYTES) if slow else min(size * 2, PIECE_BYTES)
            yield piece
            began = time.monotonic()

    def _wait_without_limit(self) -> None:
        if self._socket is not None:
            # What is metered has limits of its own.
            self._socket.settimeout(None)

    def _at_hand_bytes(self) -> int:
        """How much may be asked for: gunicorn returns no less, and a fast client can turn slow at any byte."""
        return PIECE_BYTES if self._metered is None else max(self._metered.at_hand_bytes, BLIND_READ_BYTES)

    def _read(self, size: int) -> bytes:
        try:
            piece: bytes = self._request.stream.read(size)
        except RequestError:
            raise
        except Exception as error:
            # OSError, or what gunicorn raises for broken chunks: the client's bytes are the cause.
            raise RequestError("The body broke off before its end.", code="incomplete_body") from error
        return piece

    def close(self) -> None:
        """Before the answer: the connection is gunicorn's again, and the rest of the body the worker class's."""
        if self._metered is not None and self._socket is not None:
            unreader = self._request.environ["wsgi.input"].unreader
            unreader.sock = self._socket
            unreader.buf.seek(0, io.SEEK_END)
            unreader.buf.write(self._metered.give_back())
            self._socket.settimeout(self._send_seconds)
        self._transfers.end(self._transfer)
