"""A client that sends exactly what it is told and hides nothing of the answer, to hold the double to its contract."""

import base64
import http.client
import json
import socket
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.doubles.storage.process import StorageDouble

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Plain:
    """Requests to a double with one key; a new connection for each."""

    double: StorageDouble
    key: str | None = field(repr=False)  #: None: no Authorization at all

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | Mapping[str, Any] = b"",
        /,
        **headers: str,
    ) -> Answer:
        """`path` is below the base and sent as it is; of `headers`, `x_upsert` is sent as x-upsert.

        A mapping goes as JSON, an iterable of bytes chunked.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key is not None:
            sent.setdefault("authorization", f"Bearer {self.key}")
        if isinstance(body, Mapping):
            body = json.dumps(body).encode()
            sent["content-type"] = "application/json"
        with closing(self.connect()) as connection:
            connection.request(method, f"/storage/v1{path}", body, sent)
            return read_answer(connection.getresponse())

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.double.port, timeout=TIMEOUT_SECONDS)

    def begin(self, method: str, path: str, part: bytes, length_bytes: int, **headers: str) -> socket.socket:
        """Send the head of a request and a part of its body; the connection."""
        lines = [f"{method} /storage/v1{path} HTTP/1.1", "host: double", f"content-length: {length_bytes}"]
        lines += [f"authorization: Bearer {self.key}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        connection = socket.create_connection(("127.0.0.1", self.double.port), TIMEOUT_SECONDS)
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + part)
        return connection

    def create(
        self, key: str, bucket: str = "imports", metadata: Mapping[str, str] | None = None, **headers: str
    ) -> Answer:
        """Begin a TUS upload; its length is deferred unless `upload_length` is among the headers."""
        named = {"bucketName": bucket, "objectName": key, **(metadata or {})}
        if "upload_length" not in headers:
            headers["upload_defer_length"] = "1"
        return self.tus("POST", "", upload_metadata=encoded(named), **headers)

    def tus(self, method: str, upload: str, body: bytes | Iterable[bytes] = b"", /, **headers: str) -> Answer:
        """A request for an upload, named by its URL's last segment; empty names the place where uploads are made."""
        headers = {"tus_resumable": "1.0.0", **headers}
        return self.ask(method, f"/upload/resumable/{upload}".rstrip("/"), body, **headers)

    def patch(self, upload: str, offset: int, body: bytes | Iterable[bytes] = b"", /, **headers: str) -> Answer:
        headers = {"upload_offset": str(offset), "content_type": "application/offset+octet-stream", **headers}
        return self.tus("PATCH", upload, body, **headers)


def begun(created: Answer) -> str:
    """The name of the upload that was created."""
    assert created.status == 201, created
    return urlsplit(created.headers["location"]).path.rpartition("/")[2]


def encoded(metadata: Mapping[str, str]) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in metadata.items())


def read_answer(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def read_from(connection: socket.socket, method: str = "POST") -> Answer:
    """The answer to a request that was begun by hand."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    with response:
        return read_answer(response)
