"""A server of one file that answers as the service does, but breaks off, refuses or changes the file as told."""

import base64
import hashlib
import re
from contextlib import AbstractContextManager

from tests.support.http_servers import LocalServer, QuietHandler, running


class FileServer(LocalServer):
    """`cuts` are, for the next answers, the bytes of the body after which each breaks off."""

    def __init__(self, content: bytes) -> None:
        super().__init__(_Handler)
        self.content = content
        self.digest = hashlib.sha256(content).digest()
        self.cuts: list[int] = []
        self.refusals: list[tuple[int, dict[str, str]]] = []
        #: The Range and If-Range of each request.
        self.asked: list[tuple[str | None, str | None]] = []
        #: In the place of those that are right.
        self.headers: dict[str, str] = {}

    def put(self, content: bytes) -> None:
        """Another file under the same name."""
        self.content, self.digest = content, hashlib.sha256(content).digest()

    @property
    def etag(self) -> str:
        return f'"{self.digest.hex()}"'


def serving(content: bytes) -> AbstractContextManager[FileServer]:
    return running(FileServer(content))


class _Handler(QuietHandler):
    server: FileServer

    def do_GET(self) -> None:  # noqa: N802 - as the library calls it
        server = self.server
        server.asked.append((self.headers["Range"], self.headers["If-Range"]))
        if server.refusals:
            self._refuse(*server.refusals.pop(0))
            return
        start = self._start()
        if start >= len(server.content) and start:
            self._refuse(416, {"Content-Range": f"bytes */{len(server.content)}"})
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        right = {
            "Content-Length": str(len(server.content) - start),
            "ETag": server.etag,
            "Repr-Digest": f"sha-256=:{base64.b64encode(server.digest).decode()}:",
        }
        for name, value in {**right, **server.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self._send(server.content[start:])

    def _start(self) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        return int(found[1]) if found and self.headers["If-Range"] in (None, self.server.etag) else 0

    def _send(self, body: bytes) -> None:
        if self.server.cuts:
            body = body[: self.server.cuts.pop(0)]
            self.close_connection = True
        self.wfile.write(body)

    def _refuse(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()
