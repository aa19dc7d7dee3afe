"""What a trusted proxy says of a request: the address that it came from, and the path below which we are served.

werkzeug's ProxyFix counts proxies, whoever they are, and takes any text for an address; here they are known by theirs.
"""

import re
from typing import Any, Final

from flask import Flask, request

from dataflow.config import Config
from dataflow.settings.peers import client_address, is_among, items

MAX_CHARACTERS: Final = 200
#: Segments that need no encoding, none of them empty or of dots alone: whatever follows must not lead to another host.
_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~@+-]+)+", re.ASCII)
#: Of the environ, where no header of a client can get.
_IS_TRUSTED: Final = "dataflow.is_peer_trusted"


def register(app: Flask, config: Config) -> None:
    """Have `request.remote_addr` be the client's address, and links lead through the proxy."""
    if proxies := items(config.trusted_proxies):
        serve = app.wsgi_app

        def serve_client(environ: dict[str, Any], start_response: Any) -> Any:
            peer = environ.get("REMOTE_ADDR", "")
            if is_among(peer, proxies):
                environ[_IS_TRUSTED] = True
                environ["REMOTE_ADDR"] = client_address(environ.get("HTTP_X_FORWARDED_FOR", ""), proxies) or peer
                if prefix := _prefix(environ):
                    environ["SCRIPT_NAME"] = prefix
            return serve(environ, start_response)

        app.wsgi_app = serve_client  # type: ignore[method-assign]


def is_peer_trusted() -> bool:
    """Whether the request came from one of TRUSTED_PROXIES, so that its forwarded headers count."""
    return _IS_TRUSTED in request.environ


def public_url() -> str:
    """Where the client has reached us, as far as a trusted proxy says."""
    scheme, host = request.scheme, request.host
    if is_peer_trusted():
        host = _last(request.headers.get("X-Forwarded-Host", "")) or host
        told = _last(request.headers.get("X-Forwarded-Proto", "")).lower()
        scheme = told if told in ("http", "https") else scheme
    return f"{scheme}://{host}{request.script_root}"


def _prefix(environ: dict[str, Any]) -> str:
    given = _last(str(environ.get("HTTP_X_FORWARDED_PREFIX", ""))).removesuffix("/")
    return given if len(given) <= MAX_CHARACTERS and _PREFIX.fullmatch(given) else ""


def _last(values: str) -> str:
    """What our own proxy has added."""
    return values.rpartition(",")[2].strip()
