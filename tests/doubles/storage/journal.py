"""What the server was asked, for tests to read. Never holds a key."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.doubles.storage.messages import Request

_HEADERS = (
    "content-type",
    "upload-offset",
    "upload-length",
    "upload-defer-length",
    "x-upsert",
    "range",
    "transfer-encoding",
    "content-length",
    "accept-encoding",
)


@dataclass(slots=True)
class Entry:
    """One request, also while it is being served; times are of time.monotonic(), which a machine's processes share."""

    request: Request
    authorized: bool
    began: float
    status: int | None = None  #: None as long as no answer was sent
    sent_bytes: int = 0
    held: bool = False  #: by a stall, now
    ended: float | None = None

    def end(self) -> None:
        """Its first call counts."""
        if self.ended is None:
            self.ended = time.monotonic()

    def as_json(self) -> dict[str, Any]:
        return {
            "method": self.request.method,
            "path": self.request.path,
            "status": self.status,
            "received_bytes": self.request.body.received_bytes,
            "sent_bytes": self.sent_bytes,
            "held": self.held,
            "began": self.began,
            "body_began": self.request.body.began,
            "ended": self.ended,
            "headers": _shown(self.request.headers),
            "authorized": self.authorized,
        }


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in _HEADERS if name in headers}


class Journal:
    """In the order of the requests' heads. Safe to use from many threads."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._lock = threading.Lock()

    def begin(self, request: Request, authorized: bool) -> Entry:
        entry = Entry(request, authorized, time.monotonic())
        with self._lock:
            self._entries.append(entry)
        return entry

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def is_busy(self) -> bool:
        """Whether a request is being served."""
        with self._lock:
            return any(entry.ended is None for entry in self._entries)

    def as_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [entry.as_json() for entry in self._entries]
