"""GET /ui: the service described for people, who can try it out there (Swagger UI)."""

import gzip
import mimetypes
from functools import lru_cache
from pathlib import Path
from typing import Final

import flask_swagger_ui
from flask import Blueprint, Response, render_template, request
from werkzeug.exceptions import NotFound

from dataflow.web.openapi.description import SUCCESS, Answer, described

blueprint = Blueprint("ui", __name__)

_OURS: Final = Path(__file__).parent.parent / "static"
_THEIRS: Final = Path(flask_swagger_ui.__file__).parent / "dist"
FILES: Final = {
    "start.js": _OURS,
    "swagger-ui-bundle.js": _THEIRS,
    "swagger-ui.css": _THEIRS,
    "favicon-32x32.png": _THEIRS,
}
#: Nothing from other hosts, and nothing within the page; Swagger UI has its icons in its style sheet.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=3600"}
_TEXT: Final = {"type": "string"}


@blueprint.get("/ui", strict_slashes=False)
@described(
    "Swagger UI, where this can be tried out",
    {200: Answer("The page.", {"text/html": (_TEXT, None)})},
    is_open=True,
    uses_database=False,
)
def show() -> Response:
    # Relative: right also behind a proxy that says nothing of its prefix.
    page = Response(render_template("ui.html", root="../" if request.path.endswith("/") else ""))
    page.headers.update({**_HEADERS, "Cache-Control": "no-cache", "Content-Security-Policy": _POLICY})
    return page


@blueprint.get("/ui/<name>")
@described(
    "A file of that page",
    {200: Answer("The file.", dict.fromkeys(("text/javascript", "text/css", "image/png"), (_TEXT, None)))},
    examples={SUCCESS: {"name": "start.js"}},
    is_open=True,
    uses_database=False,
)
def asset(name: str) -> Response:
    if name not in FILES:
        raise NotFound
    is_packed = request.accept_encodings["gzip"] > 0
    answer = Response(_content(name, is_packed), mimetype=mimetypes.guess_type(name)[0])
    answer.headers.update({**_HEADERS, **({"Content-Encoding": "gzip"} if is_packed else {})})
    answer.vary.add("Accept-Encoding")
    return answer


@lru_cache
def _content(name: str, is_packed: bool) -> bytes:
    """Kept, so that clients which are slow to take it share one copy."""
    content = (FILES[name] / name).read_bytes()
    return gzip.compress(content) if is_packed else content
