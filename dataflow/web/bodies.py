"""Request bodies as pieces, never held as a whole: raw ones, and the file of a multipart form.

gunicorn reports a client that vanished as a clean end of the body, so bytes are counted against Content-Length; its
exceptions for broken chunks, and any OSError, mean the same. A form must reach its closing boundary.
"""

import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import NEED_DATA, Data, Epilogue, Event, Field, File, MultipartDecoder

from dataflow.errors import ClientVanished, InvalidRequest, UploadStalled
from dataflow.formats import PIECE_BYTES

SMALLEST_READ_BYTES = 1024
#: A read that takes longer is made smaller the next time, so that a slow body still shows a sign of life in time.
SLOW_READ_SECONDS = 1.0
#: Bounds what werkzeug's decoder may buffer: the head of a part, or a field's value.
MAX_FORM_MEMORY_BYTES = 4 * PIECE_BYTES
MAX_FIELD_BYTES = 4096


def raw_pieces(request: Request, stall_seconds: float) -> Iterator[bytes]:
    """The body as it comes, at most PIECE_BYTES at a time.

    :raises UploadStalled: when the client sends nothing for `stall_seconds`.
    :raises ClientVanished: when the body ends before its declared length or last chunk.
    """
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        # The only cut-off there is: gunicorn's own time-out does not free a thread.
        connection.settimeout(stall_seconds)
    received, size = 0, PIECE_BYTES
    while True:
        began = time.monotonic()
        piece = _read(request, size, stall_seconds)
        if not piece:
            break
        received += len(piece)
        yield piece
        slow = time.monotonic() - began > SLOW_READ_SECONDS
        size = max(size // 4, SMALLEST_READ_BYTES) if slow else min(size * 2, PIECE_BYTES)
    if request.content_length is not None and received < request.content_length:
        raise ClientVanished(f"The body ended after {received} of {request.content_length} bytes.")


def _read(request: Request, size: int, stall_seconds: float) -> bytes:
    try:
        piece: bytes = request.stream.read(size)
    except TimeoutError as error:
        raise UploadStalled(f"The client sent nothing for {stall_seconds:g} s (UPLOAD_STALL_SECONDS).") from error
    except Exception as error:
        # Whatever reading a client's bytes raises, the client's bytes are the cause.
        raise ClientVanished("The body broke off before its end.") from error
    return piece


class FormFile:
    """The file of a multipart form, as pieces; fields are handed to `on_field` and the file's own headers to
    `on_file(name, media_type)` as they come, before or after it.
    """

    def __init__(
        self,
        boundary: str,
        on_field: Callable[[str, str], None],
        on_file: Callable[[str | None, str], None],
    ) -> None:
        if not boundary:
            raise InvalidRequest("The Content-Type multipart/form-data lacks its boundary.")
        self._decoder = MultipartDecoder(boundary.encode("latin-1"), max_form_memory_size=MAX_FORM_MEMORY_BYTES)
        self._on_field = on_field
        self._on_file = on_file
        self._files = 0
        self._field: str | None = None  #: the field whose value is arriving, None while it is the file's
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
        if not self._files:
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
        if isinstance(event, File):
            self._begin_file(event)
        elif isinstance(event, Field):
            self._field, self._value = event.name, bytearray()
        elif isinstance(event, Data) and self._field is None:
            if event.data:
                yield bytes(event.data)
        elif isinstance(event, Data):
            self._take_field(event)

    def _begin_file(self, event: File) -> None:
        self._files += 1
        if event.name != "file" or self._files > 1:
            raise InvalidRequest("The form must have exactly one file, in the field named file.")
        self._field = None
        media_type = event.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self._on_file(event.filename or None, media_type)

    def _take_field(self, event: Data) -> None:
        self._value += event.data
        if len(self._value) > MAX_FIELD_BYTES:
            raise InvalidRequest(f"The form field {self._field} is longer than {MAX_FIELD_BYTES} bytes.")
        if not event.more_data:
            try:
                self._on_field(self._field or "", self._value.decode())
            except UnicodeDecodeError as error:
                raise InvalidRequest(f"The form field {self._field} is not UTF-8.") from error
