"""Requests written by hand, where no HTTP library would send them."""

import http.client
import json
import select
import socket
import struct
from contextlib import suppress
from typing import Any, NamedTuple, Self

from dataflow import db
from tests.support.processes import Web
from tests.support.waiting import eventually


class Answer(NamedTuple):
    status: int
    code: str
    headers: http.client.HTTPMessage
    body: dict[str, Any]


class Raw:
    """A POST by hand: the head is sent at once, the body as the test likes."""

    def __init__(self, web: Web, media_type: str, headers: dict[str, Any], path: str = "/import") -> None:
        self.socket = socket.create_connection(("127.0.0.1", web.port), timeout=30)
        lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Type: {media_type}"]
        lines += [f"{name}: {value}" for name, value in {"X-Source": "crm", **headers}.items()]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        # Who is refused early may find the connection closed; the answer is there all the same.
        with suppress(ConnectionError):
            self.socket.sendall(content)

    def send_chunk(self, content: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(content), content))

    def is_answered(self) -> bool:
        return bool(select.select([self.socket], [], [], 0)[0])

    def end(self) -> None:
        """Send no more, but go on listening."""
        self.socket.shutdown(socket.SHUT_WR)

    def vanish(self) -> None:
        """Reset the connection, as a network that goes away."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def answer(self) -> Answer:
        found = http.client.HTTPResponse(self.socket, method="POST")
        found.begin()
        body = json.loads(found.read())
        return Answer(found.status, body.get("code", ""), found.headers, body)


def wait_for_uploads(connection: db.Connection, count: int) -> None:
    """Until `count` bodies are on their way."""
    eventually(lambda: len(connection.execute("SELECT FROM jobs WHERE state = 'uploading'").fetchall()) == count)
