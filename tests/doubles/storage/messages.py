"""Requests and answers as the handlers see them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, unquote

from tests.doubles.storage import refusals
from tests.doubles.storage.body import Body

PREFIX = "/storage/v1"


@dataclass(slots=True)
class Request:
    """One request; header names are in lower case."""

    method: str
    target: str  #: as sent: encoded, with the query
    headers: dict[str, str]
    body: Body
    hold_inside: Callable[[], None] = lambda: None  #: called by a handler that holds a lock
    is_gone: Callable[[], bool] = lambda: False  #: whether the client has closed its connection

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def route(self) -> str:
        """The path below the base, still encoded."""
        return self.path.removeprefix(PREFIX)

    @property
    def is_upsert(self) -> bool:
        return self.headers.get("x-upsert", "").lower() == "true"

    def fields(self, *required: str) -> dict[str, Any]:
        """The body's JSON object.

        :raises Refusal: when it is none or lacks one of `required`.
        """
        try:
            fields = self.body.json()
        except ValueError as error:
            raise refusals.invalid_request(f"Unexpected token in JSON: {error}") from error
        if not isinstance(fields, dict):
            raise refusals.invalid_request("body must be object")
        for name in required:
            if name not in fields:
                raise refusals.invalid_request(f"body must have required property '{name}'")
        return fields


@dataclass(slots=True)
class Response:
    """An answer: `body`, or `count` bytes of `file` from `offset`, which is closed after sending.

    What is still unread of the request's body is left unread (a client that goes on sending hangs, as with the real
    server), or with `drain` read and thrown away.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: BinaryIO | None = None
    offset: int = 0
    count: int = 0
    close: bool = False
    drain: bool = False

    @property
    def body_bytes(self) -> int:
        return self.count if self.file else len(self.body)

    def release(self) -> None:
        if self.file:
            self.file.close()


def json_response(body: Any, status: int = 200) -> Response:
    return Response(status, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(body).encode())


def refused(refusal: refusals.Refusal) -> Response:
    return Response(refusal.status, {"Content-Type": refusal.content_type}, refusal.body, close=refusal.close)


def bucket_and_key(route: str) -> tuple[str, str]:
    """The two of an encoded `bucket/path`; the key is empty when there is none."""
    bucket, _, key = route.partition("/")
    return unquote(bucket), unquote(key)


def parse_head(lines: list[bytes]) -> tuple[str, str, str, dict[str, str]]:
    """Method, target, version and headers.

    :raises ValueError: when it is not HTTP.
    """
    method, target, version = lines[0].decode("latin-1").split(" ")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise ValueError("not a header")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return method, target, version, headers


def keeps_alive(version: str, headers: Mapping[str, str]) -> bool:
    asked = headers.get("connection", "").lower()
    return asked == "keep-alive" if version == "HTTP/1.0" else asked != "close"
