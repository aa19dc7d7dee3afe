"""X-HTTP-Method-Override, for clients of /uploads behind proxies that let only GET and POST through (tus 1.0.0)."""

import re
from typing import Any, Final

from flask import Flask

PATH: Final = re.compile(r"(/v1)?/uploads(/[^/]*)?")
METHODS: Final = frozenset({"PATCH", "DELETE", "HEAD", "OPTIONS"})


def register(app: Flask) -> None:
    serve = app.wsgi_app

    def serve_overridden(environ: dict[str, Any], start_response: Any) -> Any:
        wanted = str(environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", "")).upper()
        if environ["REQUEST_METHOD"] == "POST" and wanted in METHODS and PATH.fullmatch(environ["PATH_INFO"]):
            environ["REQUEST_METHOD"] = wanted
        return serve(environ, start_response)

    app.wsgi_app = serve_overridden  # type: ignore[method-assign]
