"""The file of a multipart form as pieces, never held as a whole."""

import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import NEED_DATA, Data, Epilogue, Event, Field, File, MultipartDecoder

from dataflow.errors import RequestError
from dataflow.formats.block import PIECE_BYTES
from dataflow.settings.kinds import MEDIA_TYPE

#: Bounds what werkzeug's decoder may buffer: the head of a part, or a field's value.
MAX_FORM_MEMORY_BYTES = 4 * PIECE_BYTES
MAX_FIELD_BYTES = 16 * 1024
MAX_FILE_NAME_CHARACTERS = 255
_MEDIA_TYPE = re.compile(MEDIA_TYPE, re.ASCII)


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
    """Calls `on_field(name, value)` and, before the first piece, `on_file(name, media_type, charset)`."""

    def __init__(
        self,
        boundary: str,
        on_field: Callable[[str, str], None],
        on_file: Callable[[str | None, str, str], None],
    ) -> None:
        if not boundary:
            raise RequestError("The Content-Type multipart/form-data lacks its boundary.")
        if not boundary.isascii():
            raise RequestError("The boundary of the form is not ASCII (RFC 2046 section 5.1.1).")
        self._decoder = _Decoder(boundary.encode(), max_form_memory_size=MAX_FORM_MEMORY_BYTES)
        self._on_field = on_field
        self._on_file = on_file
        self._seen: set[str] = set()
        self._field = ""  #: the field whose value is arriving, empty while it is the file's
        self._value = bytearray()

    def pieces(self, raw: Iterator[bytes]) -> Iterator[bytes]:
        """The file's bytes.

        :raises RequestError: for a form that has no file, two files, or is no form.
        :raises RequestError: incomplete_body when the closing boundary does not come.
        """
        # None tells the decoder that the body is over, which only its last state accepts.
        for piece in chain(raw, [None]):
            self._receive(piece)
            while (event := self._next_event(piece)) is not NEED_DATA and not isinstance(event, Epilogue):
                yield from self._take(event)
        if "file" not in self._seen:
            raise RequestError("The form has no file: send the contacts as the file field named file.")

    def _receive(self, piece: bytes | None) -> None:
        try:
            self._decoder.receive_data(piece)
        except RequestEntityTooLarge as error:
            raise RequestError(f"A part of the form has a head over {MAX_FORM_MEMORY_BYTES} bytes.") from error

    def _next_event(self, piece: bytes | None) -> Event:
        try:
            return self._decoder.next_event()
        except ValueError as error:
            if piece is None:
                raise RequestError("The form ended before its closing boundary.", code="incomplete_body") from error
            raise RequestError("The body is not the multipart form that its Content-Type declares.") from error

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
            raise RequestError("A part of the form has no name.")
        if is_file != (event.name == "file"):
            found = "a file" if is_file else "no file name"
            raise RequestError(
                f"The form has {found} in the field {event.name[:100]}: send one file, in the field named file."
            )
        if event.name in self._seen:
            raise RequestError(f"The form has more than one {event.name}.")
        self._seen.add(event.name)
        self._field, self._value = ("" if is_file else event.name), bytearray()
        if isinstance(event, File):
            media_type, facts = parse_options_header(event.headers.get("Content-Type", ""))
            self._on_file(event.filename or None, plain_media_type(media_type), facts.get("charset", ""))

    def _take_value(self, event: Data) -> None:
        self._value += event.data
        if len(self._value) > MAX_FIELD_BYTES:
            raise RequestError(f"The form field {self._field} is longer than {MAX_FIELD_BYTES} bytes.")
        if not event.more_data:
            try:
                self._on_field(self._field, self._value.decode())
            except UnicodeDecodeError as error:
                raise RequestError(f"The form field {self._field} is not UTF-8.") from error


def base_name(name: str) -> str | None:
    """The last part of a file name, without what cannot be stored or shown; some browsers send whole paths."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:MAX_FILE_NAME_CHARACTERS] or None


def plain_media_type(declared: str) -> str:
    """In lower case. What is no type says nothing, as none does: the content decides."""
    return lowered if _MEDIA_TYPE.fullmatch(lowered := declared.lower()) else ""
