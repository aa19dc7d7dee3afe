"""POST /import, /import/preview: a JSON body, a multipart form or a raw stream becomes a job, or is looked at."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from flask import Blueprint, Request, request
from flask.typing import ResponseReturnValue
from werkzeug.http import parse_options_header

from dataflow import logs
from dataflow.errors import UnsupportedEncoding, UnsupportedMediaType
from dataflow.formats.registry import FORMATS, by_media_type
from dataflow.imports import preview
from dataflow.imports.idempotency import declared, replayed
from dataflow.imports.option_kinds import charset_label
from dataflow.imports.options import OptionsSchema
from dataflow.imports.upload import Upload
from dataflow.queue.idempotency import Answer
from dataflow.web import idempotency, limits, links, parameters
from dataflow.web.answers.imports import AcceptedSchema, PreviewSchema
from dataflow.web.caller import caller
from dataflow.web.form import FormFile, base_name
from dataflow.web.openapi import bodies, errors, examples, headers
from dataflow.web.openapi.description import SUCCESS, described, json_answer
from dataflow.web.request_body import RawBody
from dataflow.web.services import services

blueprint = Blueprint("imports", __name__)

MULTIPART = "multipart/form-data"
#: Content whose type says nothing, so that the content decides: text of any kind, bytes of any kind, what is to be
#: saved, and what is packed (some call a workbook a zip). The last ones are what browsers on Windows call a .csv.
OPAQUE = (
    *("application/octet-stream", "application/gzip", "text/plain", "application/x-gzip", "binary/octet-stream"),
    *("application/x-octet-stream", "application/binary", "application/unknown", "application/force-download"),
    *("application/download", "application/x-download", "application/zip", "application/x-zip-compressed"),
    *("application/vnd.ms-excel", "application/msexcel", "application/x-msexcel", "application/excel"),
)
SUPPORTED = ", ".join([*(known.media_types[0] for known in FORMATS.values()), MULTIPART, *OPAQUE[:3]])
#: The second is an old name of the first (RFC 9110 section 8.4.1.3).
GZIP = ("gzip", "x-gzip")

_OPTIONS, _ACCEPTED = OptionsSchema(), AcceptedSchema()


@blueprint.post("/import")
@described(
    "Import a file",
    {
        200: json_answer(
            "The job that it has become is queued.", AcceptedSchema, examples.ACCEPTED, [headers.LOCATION]
        ),
        202: json_answer(
            "All of it is here; the job is queued as soon as the storage has made an object of it.",
            AcceptedSchema,
            None,
            [headers.LOCATION],
        ),
    },
    text="JSON is validated while it comes, and answered with its issues; of files, the job tells the refused rows.",
    query=OptionsSchema,
    header_options=OptionsSchema,
    headers=[headers.IDEMPOTENCY_KEY, headers.CONTENT_ENCODING, headers.FILE_NAME],
    body=bodies.contacts(
        "The contacts, and for all but JSON and a form the source in the query or a header.", OPAQUE, "invalid_contacts"
    ),
    errors=[
        *errors.OF_BODIES,
        *errors.OF_CONTENTS,
        *errors.OF_KEYS,
        *errors.OF_THE_STORAGE,
        *("too_many_rejects", "object_too_large", "upload_lost", "upload_cancelled"),
    ],
    examples={SUCCESS: {"source": examples.SOURCE}, "invalid_contacts": {}},
)
def receive() -> ResponseReturnValue:
    """202 while the storage still makes an object of the body."""
    with _arriving() as (upload, body):
        if not upload.is_form and not upload.is_json_body:
            # A stream has no other place for it, so it need not be read.
            upload.require_source(
                "Missing required parameters for stream upload: source. Send it as X-Source or as ?source=."
            )
        limits.check_declared(upload.is_form)
        with idempotency.claimed("import", declared(upload), _answer) as claim, body.place():
            if claim.recorded:
                return replayed(upload, claim.recorded, limits.size_limit())
            taken = services().receiver.receive(upload, claim)
    return _answer(taken.job_id, taken.is_queued)


def _answer(job_id: UUID, is_queued: bool) -> Answer:
    headers = {"Location": links.to("jobs.show", job_id=job_id)}
    return Answer(_ACCEPTED.of({"jobId": job_id}), 200 if is_queued else 202, headers)


@blueprint.post("/import/preview")
@described(
    "Look at a file: how it would be read, and its first rows",
    {200: json_answer("What is found in its first MiB. Nothing is kept.", PreviewSchema, examples.PREVIEW)},
    query=OptionsSchema,
    header_options=OptionsSchema,
    headers=[headers.CONTENT_ENCODING, headers.FILE_NAME],
    body=bodies.contacts("What would be imported; no source is needed.", OPAQUE, ""),
    errors=[*errors.OF_BODIES, *errors.OF_CONTENTS, "spool_unavailable"],
    uses_database=False,
)
def look_at() -> dict[str, Any]:
    """How the body would be read, and its first rows, as soon as its first MiB is here; no job comes of it."""
    with _arriving() as (upload, body), body.place():
        return preview.look_at(upload, services().config)


@contextmanager
def _arriving() -> Iterator[tuple[Upload, RawBody]]:
    body = RawBody(request, services().transfers, services().config.upload_stall_seconds)
    try:
        yield _describe(request, body), body
    finally:
        body.close()


def _describe(incoming: Request, body: RawBody) -> Upload:
    """What is coming, from the head of the request; nothing of the body is read yet.

    :raises RequestError: when it need not be read at all.
    """
    sender = caller()
    given = parameters.read(_OPTIONS, {**parameters.import_headers(), **parameters.query()})
    sender.check_options(given)
    media_type = incoming.mimetype
    if media_type not in (MULTIPART, *OPAQUE) and by_media_type(media_type) is None:
        raise UnsupportedMediaType(f"Unsupported content type: {media_type or 'none'}. Supported are {SUPPORTED}.")
    encoding = incoming.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", *GZIP):
        raise UnsupportedEncoding(f"Unsupported Content-Encoding: {encoding[:40]}. Send gzip, or nothing encoded.")
    if encoding in GZIP and media_type == MULTIPART:
        raise UnsupportedEncoding("The form is compressed as a whole. Compress the file in it instead.")
    upload = Upload(
        body.pieces(),
        "" if media_type == MULTIPART else media_type,
        # The boundaries and fields of a form count as well, and nobody says how much.
        None if media_type == MULTIPART else incoming.content_length,
        {**given, **sender.own_options},
        _file_name(incoming),
        is_json_body=by_media_type(media_type) is FORMATS["json"],
        is_form=media_type == MULTIPART,
        is_gzip=encoding in GZIP,
        charset=charset_label(incoming.mimetype_params.get("charset", "")),
        request_id=logs.request_id.get(),
        created_by=sender.created_by,
        max_bytes=sender.max_bytes,
        check_options=sender.check_options,
        has_left=body.has_left,
        stop=body.stop,
    )
    if media_type == MULTIPART:
        upload.pieces = _form_pieces(incoming, upload)
    return upload


def _file_name(incoming: Request) -> str | None:
    """How a raw body's sender calls its file (RFC 6266), in UTF-8, which WSGI hands over as latin-1."""
    header = incoming.headers.get("Content-Disposition", "").encode("latin-1").decode(errors="replace")
    return base_name(parse_options_header(header)[1].get("filename", ""))


def _form_pieces(incoming: Request, upload: Upload) -> Iterator[bytes]:
    def on_field(name: str, value: str) -> None:
        upload.take(parameters.read(_OPTIONS, {name: value}))

    def on_file(name: str | None, media_type: str, charset: str) -> None:
        upload.media_type, upload.charset = media_type, charset_label(charset)
        upload.file_name = name and base_name(name)

    form = FormFile(incoming.mimetype_params.get("boundary", ""), on_field, on_file)
    return form.pieces(upload.pieces)
