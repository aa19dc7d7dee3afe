"""GET /exports: contacts go out as a stream, all of them or those that are asked for."""

from itertools import chain
from typing import Final

from flask import Blueprint, Response, request

from dataflow.db import borrowed
from dataflow.errors import RequestError
from dataflow.exports.formats import Format, file_name, format_of
from dataflow.exports.selection import DEFAULT_FIELDS, Selection
from dataflow.exports.stream import Export
from dataflow.exports.throttle import Throttle, running_imports
from dataflow.web import parameters
from dataflow.web.caller import caller
from dataflow.web.client_line import ClientLine
from dataflow.web.export_body import ExportBody, broken_off, disposition
from dataflow.web.export_query import ExportQuery
from dataflow.web.openapi import examples, headers
from dataflow.web.openapi.description import SUCCESS, Answer, described
from dataflow.web.services import services

blueprint = Blueprint("exports", __name__)


_QUERY: Final = ExportQuery()
_FILE: Final = Answer(
    "The file, in chunks; half of one has no last chunk.",
    {
        "text/csv": ({"type": "string"}, examples.EXPORTED_TABLE),
        "application/x-ndjson": ({"type": "string"}, examples.EXPORTED_LINES),
        "application/json": ({"type": "array", "items": {"type": "object"}}, examples.EXPORTED),
        "text/vcard": ({"type": "string"}, examples.CARDS),
    },
    [headers.DISPOSITION],
)


@blueprint.get("/exports")
@described(
    "Contacts as a file, all of them or those that are asked for",
    {200: _FILE},
    text="In no particular order, which may be another next time; `limit` takes the newest.",
    query=ExportQuery,
    headers=[headers.ACCEPT_ENCODING],
    errors=["job_not_found", "job_unfinished", "too_many_exports", "too_many_uploads", "export_cut"],
    examples={
        SUCCESS: {"format": "csv", "source": examples.SOURCE, "fields": "name,email", "limit": 1000},
        "invalid_request": {"fields": "phone"},
    },
)
def stream() -> Response:
    wanted = parameters.read(_QUERY, parameters.query())
    caller().check_options({"source": wanted.get("source")})
    _check_protocol()
    name, is_raw, fields = wanted.pop("format"), wanted.pop("raw"), wanted.pop("fields_", None)
    form = format_of(name, is_raw, fields is not None)
    with borrowed(services().pool) as connection:
        selection = Selection.of(connection, caller().scope_of_jobs, **wanted)
    response = Response(mimetype=form.media_type) if request.method == "HEAD" else None
    return _described(response or _body(form, fields or DEFAULT_FIELDS, selection), form, wanted.get("source"))


def _check_protocol() -> None:
    """:raises RequestError: for HTTP/1.0, which ends a body by closing the connection, as a failure does."""
    if request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        raise RequestError(
            "An export needs HTTP/1.1: over HTTP/1.0 half of one looks whole. In nginx: proxy_http_version 1.1."
        )


def _is_gzip_wanted() -> bool:
    return request.accept_encodings["gzip"] > 0


def _body(form: Format, fields: tuple[str, ...], selection: Selection) -> Response:
    config = services().config
    throttle = Throttle(running_imports(services().pool))
    body = ExportBody(services(), ClientLine.of_request(), _is_gzip_wanted())
    pieces = body.pieces(
        lambda check: Export(config.database_url, config.export_seconds, check, throttle).pieces(
            form, fields, selection
        )
    )
    # Begun while an error can still be told.
    response = Response(chain([next(pieces)], broken_off(pieces)), mimetype=form.media_type)
    response.call_on_close(pieces.close)
    return response


def _described(response: Response, form: Format, source: str | None) -> Response:
    response.headers["Content-Type"] = form.media_type
    response.headers["Content-Disposition"] = disposition(file_name(source, form.extension))
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept-Encoding")
    if _is_gzip_wanted():
        response.headers["Content-Encoding"] = "gzip"
    return response
