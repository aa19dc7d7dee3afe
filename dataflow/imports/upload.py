"""A body on its way in, as `web` hands it over, with what its sender has said about it so far."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dataflow.errors import ClientVanished, InvalidRequest, Issue, MalformedInput, NoContacts
from dataflow.formats import gzip
from dataflow.imports.options import Options
from dataflow.storage.stop import Stop

#: How long something may be looked at before it is looked up whether anybody still waits for the outcome.
LOOK_UP_SECONDS = 1.0


@dataclass(slots=True)
class Arrival:
    """A body on its way in. A multipart body fills in its fields while `pieces` is read; they count at its end.

    `pieces` raises a RequestError when the client goes away, stalls, or sends what cannot be served.
    """

    pieces: Iterator[bytes]
    media_type: str  #: declared for the content, lower case, without parameters
    size_bytes: int | None = None  #: of the content, when the client has declared it
    given: dict[str, Any] = field(default_factory=dict)  #: options in camelCase, and the source
    file_name: str | None = None
    is_json_body: bool = False  #: the request itself is the JSON: validated at the door
    is_form: bool = False  #: options may still come after the file
    is_gzip: bool = False  #: declared to be compressed, by Content-Encoding
    charset: str | None = None  #: declared beside the media type, as Python names it
    request_id: str | None = None
    has_left: Callable[[], bool] = lambda: False  #: whether the sender has hung up; for when nothing is being read
    stop: Stop = field(default_factory=Stop)  #: set when the process ends, also while nothing is being read

    @property
    def source(self) -> str | None:
        return self.given.get("source")

    def require_source(self, complaint: str = "Invalid source: Required.") -> None:
        """:raises InvalidRequest: with `complaint` when nobody has said it."""
        if self.source is None:
            raise InvalidRequest(complaint, [Issue(("source",), "Required")])

    def is_compressed(self, head: bytes) -> bool:
        """Whether the content that begins with `head` is.

        :raises NoContacts, MalformedInput: when it is empty, or not compressed as declared.
        """
        if not head:
            raise NoContacts("The body is empty: there is nothing to import.")
        if self.is_gzip and not gzip.is_gzip(head):
            raise MalformedInput("Content-Encoding is gzip, but the content is not compressed.")
        return gzip.is_gzip(head)

    def take(self, options: dict[str, Any]) -> None:
        """Fill in options that a stronger place has not set yet."""
        self.given = {**options, **self.given}

    def options(self) -> Options:
        """What is known of the client's wishes so far, defaults filled in."""
        implied = {"onInvalid": "abort" if self.is_json_body else "skip", "charset": self.charset}
        return Options.of({**implied, **self.given})

    def check(self) -> None:
        """:raises ClientVanished: when the sender has hung up."""
        if self.has_left():
            raise ClientVanished("The client has left while its body was being looked at.")


def watched(pieces: Iterable[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    """The same pieces, of what is here and takes long to look at; `check` is called every LOOK_UP_SECONDS."""
    next_check = time.monotonic() + LOOK_UP_SECONDS
    for piece in pieces:
        if time.monotonic() >= next_check:
            check()
            next_check = time.monotonic() + LOOK_UP_SECONDS
        yield piece
