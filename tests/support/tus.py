"""A tus client that sends exactly what it is told and goes on by itself nowhere, to hold `/uploads` to its contract."""

import base64
import contextlib
import hashlib
import http.client
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import requests

from tests.support.processes import Web
from tests.support.service import Service

VERSION: Final = {"Tus-Resumable": "1.0.0"}
CHUNK_TYPE: Final = "application/offset+octet-stream"
TIMEOUT_SECONDS = 30.0

Headers = Mapping[str, str | bytes | None]


@dataclass(frozen=True, slots=True)
class Tus:
    """Requests to `/uploads` and to one upload, which is named by its path. A header of None is not sent at all."""

    service: Service
    prefix: str = ""

    def ask(self, method: str, path: str, headers: Headers | None = None, body: bytes = b"") -> requests.Response:
        # Of the same name, the later one counts.
        named = {name.lower(): value for name, value in {**VERSION, **(headers or {})}.items()}
        return self.service.request(method, path, data=body, headers=named)

    def create(
        self,
        length: int | None = None,
        body: bytes | None = None,
        headers: Headers | None = None,
        query: str = "",
        **fields: str,
    ) -> requests.Response:
        """Make an upload, of a deferred length without `length`; with a `body` by creation-with-upload.

        `fields` are its metadata beside a source; those that are empty are left out.
        """
        lengths = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        typed = {} if body is None else {"Content-Type": CHUNK_TYPE}
        named = {name: value for name, value in {"source": "crm", **fields}.items() if value}
        sent = {**lengths, **typed, "Upload-Metadata": encoded(named) or None, **(headers or {})}
        return self.ask("POST", f"{self.prefix}/uploads{query}", sent, body or b"")

    def begin(
        self, length: int | None = None, body: bytes | None = None, headers: Headers | None = None, **fields: str
    ) -> str:
        """The path of a new upload."""
        answer = self.create(length, body, headers, **fields)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    def patch(self, path: str, offset: int, body: bytes = b"", headers: Headers | None = None) -> requests.Response:
        place = {"Upload-Offset": str(offset), "Content-Type": CHUNK_TYPE}
        return self.ask("PATCH", path, {**place, **(headers or {})}, body)

    def head(self, path: str, headers: Headers | None = None) -> requests.Response:
        return self.ask("HEAD", path, headers)

    def offset(self, path: str) -> int:
        """What HEAD says."""
        answer = self.head(path)
        assert answer.status_code == 200, answer.headers
        return int(answer.headers["Upload-Offset"])

    def delete(self, path: str, headers: Headers | None = None) -> requests.Response:
        return self.ask("DELETE", path, headers)

    def show(self, path: str) -> dict[str, Any]:
        """What GET says."""
        answer = self.service.get(path)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    def send(self, content: bytes, *sizes: int, **fields: str) -> str:
        """The path of a complete upload that came in PATCHes of these sizes, and one for the rest."""
        path, offset = self.begin(len(content), **fields), 0
        for size in (*sizes, len(content) - sum(sizes)):
            answer = self.patch(path, offset, content[offset : offset + size])
            offset += size
            assert (answer.status_code, answer.headers.get("Upload-Offset")) == (204, str(offset)), answer.text
        return path


def encoded(metadata: Mapping[str, str]) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in metadata.items())


def checksum(content: bytes, algorithm: str = "sha1") -> dict[str, str]:
    """The header of a body."""
    digest = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    return {"Upload-Checksum": f"{algorithm} {digest}"}


def id_of(path: str) -> str:
    """The id of the job that stands for an upload."""
    return path.rpartition("/")[2]


class OpenPatch:
    """A PATCH whose head is sent at once, and its body as the test likes; without a length it has to be in chunks."""

    def __init__(self, web: Web, path: str, offset: int, length: int = 0, headers: Headers | None = None) -> None:
        place = {"Upload-Offset": str(offset), "Content-Type": CHUNK_TYPE, "Content-Length": str(length)}
        named = {**VERSION, **place, **(headers or {})}
        lines = [f"PATCH {path} HTTP/1.1", f"Host: 127.0.0.1:{web.port}"]
        lines += [f"{name}: {value}" for name, value in named.items() if value is not None]
        self._socket = socket.create_connection(("127.0.0.1", web.port), TIMEOUT_SECONDS)
        self.send("\r\n".join([*lines, "", ""]).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, content: bytes) -> None:
        # Who is refused early may find the connection closed; the answer is there all the same.
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(content)

    def end(self) -> None:
        """Send no more, but go on listening."""
        self._socket.shutdown(socket.SHUT_WR)

    def vanish(self) -> None:
        """Reset the connection, as a network that goes away."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def outcome(self) -> int | None:
        """The status of the answer; None where the connection ended without one."""
        with self._socket, http.client.HTTPResponse(self._socket, method="PATCH") as answer:
            try:
                answer.begin()
                answer.read()
            except (http.client.HTTPException, ConnectionError):
                return None
            return answer.status
