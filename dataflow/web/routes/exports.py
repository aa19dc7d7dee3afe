"""GET /exports: contacts go out as a stream, all of them or those that are asked for."""

from itertools import chain
from typing import Any, Final
from urllib.parse import quote

from flask import Blueprint, Response, request
from marshmallow import Schema, ValidationError, validate
from marshmallow import fields as typed

from dataflow.contacts.filters import Address, Moment
from dataflow.contacts.schema import check_storable
from dataflow.db import borrowed
from dataflow.errors import RequestError
from dataflow.exports.formats import FORMATS, Format, format_of
from dataflow.exports.selection import DEFAULT_FIELDS, FIELDS, Selection
from dataflow.imports.option_kinds import Flag, Number
from dataflow.web import parameters
from dataflow.web.caller import caller
from dataflow.web.export_body import ExportBody, broken_off
from dataflow.web.openapi import examples, headers
from dataflow.web.openapi.description import SUCCESS, Answer, described
from dataflow.web.services import services

blueprint = Blueprint("exports", __name__)


class FieldNames(typed.String):
    """Names of fields with commas between them, each once."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        names = tuple(name.strip() for name in super()._deserialize(value, *args, **kwargs).split(","))
        if not set(names) <= {*FIELDS} or len({*names}) < len(names):
            raise ValidationError(f"Expected some of {', '.join(FIELDS)}, each once, with commas between them")
        return names


class ExportQuery(Schema):
    format = typed.String(load_default="csv", validate=validate.OneOf([*FORMATS], error="Expected one of {choices}"))
    source = typed.String(validate=check_storable)
    email = Address()
    job_id = typed.UUID(data_key="jobId")
    imported_after = Moment(data_key="importedAfter")
    imported_before = Moment(data_key="importedBefore")
    fields_ = FieldNames(data_key="fields")
    limit = Number(2**63 - 1, lowest=1)
    raw = Flag(load_default=False)


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
    form = format_of(name, is_raw)
    if is_raw and name != "csv":
        raise RequestError(f"raw: only the cells of CSV are guarded; {name} is as it is.")
    if fields and not form.has_fields:
        raise RequestError("fields: a vCard has what cards have, id, name, e-mail, source and time of import.")
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
    body = ExportBody(services(), request.environ.get("gunicorn.socket"), _is_gzip_wanted())
    pieces = body.pieces(form, fields, selection)
    # Begun while an error can still be told.
    response = Response(chain([next(pieces)], broken_off(pieces)), mimetype=form.media_type)
    response.call_on_close(pieces.close)
    return response


def _described(response: Response, form: Format, source: str | None) -> Response:
    response.headers["Content-Type"] = form.media_type
    response.headers["Content-Disposition"] = _disposition(source, form.extension)
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept-Encoding")
    if _is_gzip_wanted():
        response.headers["Content-Encoding"] = "gzip"
    return response


def _disposition(source: str | None, extension: str) -> str:
    """RFC 6266: a name that everybody can read, and where the source is not ASCII also the right one (RFC 8187)."""
    name = f"contacts-{_plain(source)}.{extension}" if source else f"contacts.{extension}"
    ascii_name = name.encode("ascii", "replace").decode().replace("?", "_")
    better = f"; filename*=UTF-8''{quote(name, safe='')}" if ascii_name != name else ""
    return f'attachment; filename="{ascii_name}"{better}'


def _plain(source: str) -> str:
    """As a part of a name that every file system takes."""
    return "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in source)[:100]
