"""A body on its way in, as `web` hands it over, with what its sender has declared."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dataflow.errors import Issue, MalformedInput, NoContacts, RequestError
from dataflow.formats import gzip
from dataflow.imports.options import Options
from dataflow.storage.stop import Stop

#: How long a body may be looked at between two looks whether its sender still waits.
LOOK_UP_SECONDS = 1.0


@dataclass(slots=True)
class Upload:
    """A multipart form fills in the fields while `pieces` is read; they count at its end."""

    pieces: Iterator[bytes]  #: raises a RequestError when the client goes away, stalls, or sends what cannot be served
    media_type: str  #: declared for the content, lower case, without parameters
    size_bytes: int | None = None  #: of the content, when the client has declared it
    given: dict[str, Any] = field(default_factory=dict)  #: options in camelCase, and the source
    file_name: str | None = None
    is_json_body: bool = False  #: the request itself is the JSON, and validated while it is received
    is_form: bool = False  #: options may still come after the file
    is_gzip: bool = False  #: declared to be compressed, by Content-Encoding
    charset: str | None = None  #: declared beside the media type, as Python names it
    request_id: str | None = None
    created_by: str | None = None  #: who sends it, for the job
    max_bytes: int = 0  #: more are refused; 0 is no limit
    #: raises what its sender may not ask for, wherever in the body that is said
    check_options: Callable[[Mapping[str, Any]], None] = lambda _: None
    has_left: Callable[[], bool] = lambda: False  #: the sender has hung up, also while nothing is read
    stop: Stop = field(default_factory=Stop)  #: set when the process ends

    @property
    def source(self) -> str | None:
        return self.given.get("source")

    def require_source(self, complaint: str = "Invalid source: Required.") -> None:
        """:raises RequestError: with `complaint` when none has been given."""
        if self.source is None:
            raise RequestError(complaint, [Issue(("source",), "Required")])

    def is_compressed(self, head: bytes) -> bool:
        """:raises NoContacts, MalformedInput: when the content is empty, or not compressed as declared."""
        if not head:
            raise NoContacts("The body is empty: there is nothing to import.")
        if self.is_gzip and not gzip.is_gzip(head):
            raise MalformedInput("Content-Encoding is gzip, but the content is not compressed.")
        return gzip.is_gzip(head)

    def take(self, options: dict[str, Any]) -> None:
        """Fill in options that no place of higher precedence has set.

        :raises RequestError: what `check_options` does.
        """
        self.check_options(options)
        self.given = {**options, **self.given}

    def options(self) -> Options:
        """The options that are known so far, and defaults."""
        implied = {"onInvalid": "abort" if self.is_json_body else "skip", "charset": self.charset}
        return Options.of({**implied, **self.given})

    def check(self) -> None:
        if self.has_left():
            raise RequestError("The client has left while its body was being looked at.", code="incomplete_body")


def watched(pieces: Iterable[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    """The same pieces; `check` is called every LOOK_UP_SECONDS between them."""
    next_check = time.monotonic() + LOOK_UP_SECONDS
    for piece in pieces:
        if time.monotonic() >= next_check:
            check()
            next_check = time.monotonic() + LOOK_UP_SECONDS
        yield piece
