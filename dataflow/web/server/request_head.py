"""The head of a request while it comes: where it ends, whether it is too large, and which threads it belongs to."""

import re
import sys
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from gunicorn.util import split_request_uri, unquote_to_wsgi_str

#: nginx takes 32 KiB. gunicorn would keep 800 for each connection, and look at 200,000 empty fields for a minute.
MAX_HEAD_BYTES: Final = 64 * 1024


class Kind(Enum):
    """Requests that must not wait for others have threads of their own."""

    TRANSFER = auto()  #: takes as long as its client likes
    STREAM = auto()  #: waits for a job to end, for hours perhaps
    LIST = auto()  #: computes for as long as a hundred others
    PROBE = auto()  #: asks whether the service lives
    ORDINARY = auto()


#: Kind, method and end of the path of those that are not ordinary.
ROUTES: Final = (
    (Kind.TRANSFER, "POST", r"/import"),
    (Kind.TRANSFER, "POST", r"/import/preview"),
    (Kind.TRANSFER, "POST", r"/uploads"),
    (Kind.TRANSFER, "POST|PATCH|HEAD|DELETE", r"/uploads/[^/]+"),
    (Kind.TRANSFER, "GET|HEAD", r"/jobs/[^/]+/rejects"),
    (Kind.TRANSFER, "GET|HEAD|POST", r"/exports"),
    (Kind.TRANSFER, "GET|HEAD", r"/exports/[^/]+/file"),
    (Kind.TRANSFER, "POST", r"/tokens"),
    (Kind.STREAM, "GET", r"/jobs/[^/]+/events"),
    (Kind.LIST, "GET|HEAD", r"/jobs"),
    (Kind.LIST, "GET|HEAD|DELETE", r"/contacts"),
    (Kind.PROBE, "GET|HEAD", r"/health"),
)
_ROUTES: Final = [(kind, re.compile(rf"(?:{method}) .*{path}\Z", re.DOTALL)) for kind, method, path in ROUTES]

_LINE_END, _END = b"\r\n", b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r", re.IGNORECASE)
#: More than the application will take for one is no harm.
_WAIT = re.compile(rb"\r\nprefer:[^\r]*wait[ \t]*=", re.IGNORECASE)
_VERSION = re.compile(rb"HTTP/\d\.\d")


class RequestHead:
    """The `content` of one head so far, and perhaps the beginning of its body."""

    def __init__(self, max_line_bytes: int, max_fields: int) -> None:
        self.content = bytearray()
        self.is_too_large = False
        self._max_line_bytes = max_line_bytes
        self._max_lines = max_fields + 3  # the request line, an empty one before it and one behind the fields
        self._lines = 0
        self._has_line = False

    def feed(self, piece: bytes) -> bool:
        """Whether a thread can answer now, if only that the head is wrong.

        Each byte is looked at once, however small the pieces are.
        """
        known = len(self.content)
        self.content += piece
        end = self.content.find(_END, max(0, known - len(_END) + 1))
        stop = len(self.content) if end < 0 else end + len(_END)
        line_feeds = self.content.count(b"\n", known, stop)
        # gunicorn refuses a line that ends with a mere LF as soon as it sees one.
        has_bare_line_feed = line_feeds != self.content.count(_LINE_END, max(0, known - 1), stop)
        self._lines += line_feeds
        self.is_too_large = stop > MAX_HEAD_BYTES or self._lines > self._max_lines
        return end >= 0 or has_bare_line_feed or self.is_too_large or self._has_wrong_line()

    def _has_wrong_line(self) -> bool:
        """Whether it is certain already that gunicorn will refuse the request line."""
        if self._has_line:
            return False
        start = 2 * self.content.startswith(_LINE_END)
        end = self.content.find(_LINE_END, start)
        if end < 0:
            return len(self.content) - start - len(_LINE_END) > self._max_line_bytes
        self._has_line = True
        parts = self.content[start:end].split(b" ", 2)
        return len(parts) != 3 or not _VERSION.fullmatch(parts[2])

    def body_bytes(self) -> tuple[int, int]:
        """The declared length of the body (sys.maxsize if chunked), and how much of it came with the head."""
        head, _, early = bytes(self.content).partition(_END)
        declared = _LENGTH.search(head + _LINE_END)
        length = sys.maxsize if _CHUNKED.search(head) else int(declared[1]) if declared else 0
        return length, len(early)

    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` (RFC 9110 section 10.1.1)."""
        return _EXPECT.search(self.content) is not None

    def kind(self) -> Kind:
        """By the path as the application will see it, and by whether it is asked to wait (RFC 7240)."""
        start = len(_LINE_END) * self.content.startswith(_LINE_END)
        line = bytes(self.content[start : (end := self.content.find(_LINE_END, start))])
        kind = _kind_of(line)
        may_wait = kind is Kind.ORDINARY and line.startswith(b"GET ")
        return Kind.STREAM if may_wait and _WAIT.search(self.content, end, self._end(end)) else kind

    def _end(self, start: int) -> int:
        end = self.content.find(_END, start)
        return len(self.content) if end < 0 else end


@lru_cache(maxsize=64)  # the same few come all the time
def _kind_of(request_line: bytes) -> Kind:
    method, _, rest = request_line.partition(b" ")
    try:
        path = split_request_uri(rest.partition(b" ")[0].decode("latin-1")).path
    except ValueError:
        return Kind.ORDINARY  # gunicorn refuses it
    line = f"{method.decode('latin-1')} {unquote_to_wsgi_str(path)}"
    return next((kind for kind, pattern in _ROUTES if pattern.match(line)), Kind.ORDINARY)
