"""X-Forwarded-Prefix: the path below which a trusted proxy serves us, so that links lead through it."""

import re
from collections.abc import Iterable
from typing import Any

from flask import Flask

from dataflow.config import Config
from dataflow.settings.peers import is_among, items

MAX_CHARACTERS = 200
#: Segments that need no encoding, none of them empty or of dots alone: whatever follows must not lead to another host.
_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~@+-]+)+", re.ASCII)


def register(app: Flask, config: Config) -> None:
    if proxies := items(config.trusted_proxies):
        serve = app.wsgi_app

        def serve_below(environ: dict[str, Any], start_response: Any) -> Any:
            if prefix := _prefix(environ, proxies):
                environ["SCRIPT_NAME"] = prefix
            return serve(environ, start_response)

        app.wsgi_app = serve_below  # type: ignore[method-assign]


def _prefix(environ: dict[str, Any], proxies: Iterable[str]) -> str:
    # The last is what our own proxy has added.
    given = str(environ.get("HTTP_X_FORWARDED_PREFIX", "")).rpartition(",")[2].strip().removesuffix("/")
    is_usable = len(given) <= MAX_CHARACTERS and _PREFIX.fullmatch(given)
    return given if is_usable and is_among(environ.get("REMOTE_ADDR", ""), proxies) else ""
