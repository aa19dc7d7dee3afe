"""The web application without a server, for what its answers say: asked like a `Web`, through Flask's test client.

Bodies come whole, and nothing is known of connections: what needs a socket needs gunicorn.
"""

import io
import time
from collections.abc import Iterable
from contextvars import copy_context
from typing import Any
from urllib.parse import unquote_to_bytes

import requests
from flask import Flask, g
from flask import request as asked

from dataflow.config import Config
from dataflow.web.app import create_app
from dataflow.web.caller import Caller
from tests.support.openapi import described
from tests.support.service import Service


class FlaskWeb(Service):
    """What answers requests at `url`, in this process."""

    url = "http://127.0.0.1:3000"

    def __init__(self, variables: dict[str, object]) -> None:
        self.app: Flask = create_app(Config.from_env({name: str(value) for name, value in variables.items()}))

    def trust_callers(self) -> None:
        """Have X-Test-Caller say who sends a request: the name of a key, and behind a # the id of a token for crm."""

        @self.app.before_request
        def know() -> None:
            name = asked.headers.get("X-Test-Caller", "")
            key, _, token = name.partition("#")
            if name:
                of_token = {"sources": frozenset({"crm"}), "is_token": True} if token else {}
                g.caller = Caller(f"token:{token}" if token else f"key:{key}", name, **of_token)

    def is_running(self) -> bool:
        return True

    def log(self) -> str:
        return ""

    def stop(self) -> None:
        self.app.extensions["dataflow"].pool.close()

    def request(self, method: str, path: str, timeout: float = 60, **arguments: Any) -> requests.Response:
        """The answer as `requests` would have it: it writes the request, forms and query included."""
        with requests.Session() as session:
            prepared = session.prepare_request(requests.Request(method, self.url + path, **arguments))
        began = time.monotonic()
        # What the application keeps for a request, its id for the log among it, is not for the tests that follow.
        answer = copy_context().run(self.app.test_client().open, environ_of(prepared), buffered=True)
        assert time.monotonic() - began < timeout
        response = requests.Response()
        response.status_code = answer.status_code
        response.reason = answer.status.partition(" ")[2]
        response.headers.update(answer.headers.items())
        response.url, response.request = str(prepared.url), prepared
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response.raw = io.BytesIO(answer.get_data())
        answer.close()
        described().check_answer(method, path, response, arguments)
        return response


def environ_of(prepared: requests.PreparedRequest) -> dict[str, Any]:
    """The request as gunicorn hands one on."""
    path, _, query = prepared.path_url.partition("?")
    body = content_of(prepared.body)
    headers = {"Host": "127.0.0.1:3000", **prepared.headers}
    environ: dict[str, Any] = {
        "REQUEST_METHOD": prepared.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "RAW_URI": prepared.path_url,
        "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "3000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = text
    return environ


def content_of(body: Any) -> bytes:
    """All of a body, in whichever form `requests` takes one."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes):
        return body
    if hasattr(body, "read"):
        return bytes(body.read())
    pieces: Iterable[bytes] = body
    return b"".join(pieces)
