"""A client of GET /jobs/{id}/events, and of what else waits for a job."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple, Self
from uuid import UUID

from tests.support.processes import Web


class Event(NamedTuple):
    id: str
    name: str
    job: dict[str, Any]


class EventClient:
    """One that has sent its request and has read the head of the answer; `before` goes in front of the path."""

    def __init__(
        self,
        web: Web,
        job_id: UUID | str,
        headers: dict[str, str] | None = None,
        before: str = "",
        query: str = "",
        timeout: float = 60,
    ) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=timeout)
        self.connection.request("GET", f"{before}/jobs/{job_id}/events{query}", headers=headers or {})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.headers = self.answer.headers
        self.comments = 0
        self.retry: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        self.answer.close()
        self.connection.close()

    def next(self) -> Event:
        """The next event; the test fails when there is none."""
        return next(iter(self))

    def __iter__(self) -> Iterator[Event]:
        """All that come until the stream ends, taken apart as a browser does."""
        fields: dict[str, str] = {}
        while line := self.answer.readline():
            name, colon, value = line.decode().rstrip("\n").partition(":")
            if not name and colon:
                self.comments += 1
            elif name == "retry":
                self.retry = value.strip()
            elif name:
                fields[name] = value.removeprefix(" ")
            elif fields:
                yield Event(fields["id"], fields["event"], json.loads(fields["data"]))
                fields = {}
        assert not fields, "the stream ended in the middle of an event"


def ask_for_events(web: Web, job_id: UUID | str, version: str = "1.1") -> socket.socket:
    """A client that has asked for a stream, and does not read."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(60)
    line.connect(("127.0.0.1", web.port))
    line.sendall(f"GET /jobs/{job_id}/events HTTP/{version}\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return line
