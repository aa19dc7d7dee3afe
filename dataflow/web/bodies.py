"""Request bodies as pieces, never held as a whole: raw ones, and the file of a multipart form.

gunicorn reports a client that vanished as a clean end of the body, so bytes are counted against Content-Length; its
exceptions for broken chunks, and any OSError, mean the same. A form must reach its closing boundary.
"""

import fcntl
import re
import socket
import struct
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import NEED_DATA, Data, Epilogue, Event, Field, File, MultipartDecoder

from dataflow.config import MEDIA_TYPE
from dataflow.errors import ClientVanished, InvalidRequest, RequestError, UploadStalled
from dataflow.formats import PIECE_BYTES

FIRST_READ_BYTES = 1024
SMALLEST_READ_BYTES = 64
#: Asked for when nothing is here yet. gunicorn may have a few KiB, which should not be taken byte by byte.
BLIND_READ_BYTES = 256
#: A refused body up to this size is read all the same: most of it is here already.
SMALL_BODY_BYTES = 16 * 1024
#: A read that takes longer is made smaller the next time, so that a slow body still shows a sign of life in time.
SLOW_READ_SECONDS = 1.0
#: Bounds what werkzeug's decoder may buffer: the head of a part, or a field's value.
MAX_FORM_MEMORY_BYTES = 4 * PIECE_BYTES
MAX_FIELD_BYTES = 16 * 1024
_MEDIA_TYPE = re.compile(MEDIA_TYPE, re.ASCII)


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


class _Decoder(MultipartDecoder):
    """Takes heads of parts that are not UTF-8, as a page in windows-1252 has them sent: a file's name is decoration.

    Where werkzeug no longer calls this, such a form is refused.
    """

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        try:
            data.decode()
        except UnicodeDecodeError:
            data = data.decode("cp1252", errors="replace").encode()
        return super()._parse_headers(data)


class FormFile:
    """The file of a multipart form, as pieces; fields are handed to `on_field` and the file's own headers to
    `on_file(name, media_type, charset)` as they come, before or after it.
    """

    def __init__(
        self,
        boundary: str,
        on_field: Callable[[str, str], None],
        on_file: Callable[[str | None, str, str], None],
    ) -> None:
        if not boundary:
            raise InvalidRequest("The Content-Type multipart/form-data lacks its boundary.")
        if not boundary.isascii():
            raise InvalidRequest("The boundary of the form is not ASCII (RFC 2046 section 5.1.1).")
        self._decoder = _Decoder(boundary.encode(), max_form_memory_size=MAX_FORM_MEMORY_BYTES)
        self._on_field = on_field
        self._on_file = on_file
        self._seen: set[str] = set()
        self._field = ""  #: the field whose value is arriving, empty while it is the file's
        self._value = bytearray()

    def pieces(self, raw: Iterator[bytes]) -> Iterator[bytes]:
        """The file's bytes.

        :raises InvalidRequest: for a form that has no file, two files, or is no form.
        :raises ClientVanished: when the closing boundary does not come.
        """
        # None tells the decoder that the body is over, which only its last state accepts.
        for piece in chain(raw, [None]):
            self._receive(piece)
            while (event := self._next_event(piece)) is not NEED_DATA and not isinstance(event, Epilogue):
                yield from self._take(event)
        if "file" not in self._seen:
            raise InvalidRequest("The form has no file: send the contacts as the file field named file.")

    def _receive(self, piece: bytes | None) -> None:
        try:
            self._decoder.receive_data(piece)
        except RequestEntityTooLarge as error:
            raise InvalidRequest(f"A part of the form has a head over {MAX_FORM_MEMORY_BYTES} bytes.") from error

    def _next_event(self, piece: bytes | None) -> Event:
        try:
            return self._decoder.next_event()
        except ValueError as error:
            if piece is None:
                raise ClientVanished("The form ended before its closing boundary.") from error
            raise InvalidRequest("The body is not the multipart form that its Content-Type declares.") from error

    def _take(self, event: Any) -> Iterator[bytes]:
        if isinstance(event, Field | File):
            self._begin(event)
        elif isinstance(event, Data) and self._field:
            self._take_value(event)
        elif isinstance(event, Data) and event.data:
            yield bytes(event.data)

    def _begin(self, event: Field | File) -> None:
        is_file = isinstance(event, File)
        if not event.name:
            raise InvalidRequest("A part of the form has no name.")
        if is_file != (event.name == "file"):
            found = "a file" if is_file else "no file name"
            raise InvalidRequest(
                f"The form has {found} in the field {event.name[:100]}: send one file, in the field named file."
            )
        if event.name in self._seen:
            raise InvalidRequest(f"The form has more than one {event.name}.")
        self._seen.add(event.name)
        self._field, self._value = ("" if is_file else event.name), bytearray()
        if isinstance(event, File):
            media_type, facts = parse_options_header(event.headers.get("Content-Type", ""))
            media_type = media_type.lower()
            # What is no type says nothing, as none does: the content decides.
            media_type = media_type if _MEDIA_TYPE.fullmatch(media_type) else ""
            self._on_file(event.filename or None, media_type, facts.get("charset", ""))

    def _take_value(self, event: Data) -> None:
        self._value += event.data
        if len(self._value) > MAX_FIELD_BYTES:
            raise InvalidRequest(f"The form field {self._field} is longer than {MAX_FIELD_BYTES} bytes.")
        if not event.more_data:
            try:
                self._on_field(self._field, self._value.decode())
            except UnicodeDecodeError as error:
                raise InvalidRequest(f"The form field {self._field} is not UTF-8.") from error
