"""POST /import: a JSON body, a multipart form or a raw stream becomes a job."""

from collections.abc import Iterator

from flask import Blueprint, Request, Response, after_this_request, jsonify, request, url_for

from dataflow import logs
from dataflow.arrival import Arrival
from dataflow.errors import InvalidRequest, Issue, TooManyUploads, UnsupportedEncoding, UnsupportedMediaType
from dataflow.formats import FORMATS, by_media_type
from dataflow.options import OptionsSchema, charset_label
from dataflow.web import parameters, services
from dataflow.web.bodies import FormFile, RawBody

blueprint = Blueprint("imports", __name__)

MULTIPART = "multipart/form-data"
#: Content whose type says nothing; the last is what browsers on Windows call a .csv.
OPAQUE = (
    *("application/octet-stream", "application/gzip", "application/x-gzip", "binary/octet-stream"),
    "application/vnd.ms-excel",
)
SUPPORTED = ", ".join([*(known.media_types[0] for known in FORMATS.values()), MULTIPART, *OPAQUE[:2]])
#: The second is an old name of the first (RFC 9110 section 8.4.1.3).
GZIP = ("gzip", "x-gzip")
MAX_FILE_NAME_CHARACTERS = 255
#: How long a refused client may go on sending before we hang up; less when it was refused because we are busy.
LINGER_SECONDS = 5.0
BUSY_LINGER_SECONDS = 1.0

_OPTIONS = OptionsSchema()


@blueprint.post("/import")
def receive() -> Response:
    """Store the body, queue the job, answer with its id."""
    # The request itself and not its proxy: the rest of a refused body is read when the proxy has nothing behind it.
    incoming: Request = request._get_current_object()  # type: ignore[attr-defined]
    body = RawBody(incoming, services().config.upload_stall_seconds)
    try:
        arrival = describe(incoming, body)
        _require_source(arrival)
        with services().upload_slots.slot():
            job_id = services().intake.receive(arrival)
    except Exception as error:
        let_the_client_finish(body, BUSY_LINGER_SECONDS if isinstance(error, TooManyUploads) else LINGER_SECONDS)
        raise
    response = jsonify({"jobId": str(job_id)})
    prefix = (request.blueprint or "").removesuffix(blueprint.name)
    response.headers["Location"] = url_for(f"{prefix}jobs.show", job_id=job_id)
    return response


def let_the_client_finish(body: RawBody, seconds: float) -> None:
    """Take in the rest of a body after the answer, for a while; else its client may never see that."""

    @after_this_request
    def add_end(response: Response) -> Response:
        body.announce_end()
        response.call_on_close(lambda: body.drop(seconds))
        return response


def describe(incoming: Request, body: RawBody) -> Arrival:
    """What is coming, from the head of the request; nothing of the body is read yet.

    :raises RequestError: when it need not be read at all.
    """
    given = parameters.read(_OPTIONS, {**parameters.import_headers(), **parameters.query()})
    media_type = incoming.mimetype
    if media_type not in (MULTIPART, *OPAQUE) and by_media_type(media_type) is None:
        raise UnsupportedMediaType(f"Unsupported content type: {media_type or 'none'}. Supported are {SUPPORTED}.")
    encoding = incoming.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", *GZIP):
        raise UnsupportedEncoding(f"Unsupported Content-Encoding: {encoding[:40]}. Send gzip, or nothing encoded.")
    if encoding in GZIP and media_type == MULTIPART:
        raise UnsupportedEncoding("The form is compressed as a whole. Compress the file in it instead.")
    arrival = Arrival(
        body.pieces(),
        "" if media_type == MULTIPART else media_type,
        # The boundaries and fields of a form count as well, and nobody says how much.
        None if media_type == MULTIPART else incoming.content_length,
        given,
        is_json_body=by_media_type(media_type) is FORMATS["json"],
        is_form=media_type == MULTIPART,
        is_gzip=encoding in GZIP,
        charset=charset_label(incoming.mimetype_params.get("charset", "")),
        request_id=logs.request_id.get(),
    )
    if media_type == MULTIPART:
        arrival.pieces = _form_pieces(incoming, arrival)
    return arrival


def _form_pieces(incoming: Request, arrival: Arrival) -> Iterator[bytes]:
    def on_field(name: str, value: str) -> None:
        arrival.take(parameters.read(_OPTIONS, {name: value}))

    def on_file(name: str | None, media_type: str, charset: str) -> None:
        arrival.media_type, arrival.charset = media_type, charset_label(charset)
        arrival.file_name = name and _base_name(name)

    form = FormFile(incoming.mimetype_params.get("boundary", ""), on_field, on_file)
    return form.pieces(arrival.pieces)


def _base_name(name: str) -> str | None:
    """The last part of a file name, without what cannot be stored or shown; some browsers send whole paths."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:MAX_FILE_NAME_CHARACTERS] or None


def _require_source(arrival: Arrival) -> None:
    """A stream has no other place for its source, so a missing one is refused before the body is read."""
    if arrival.source is None and not arrival.is_form and not arrival.is_json_body:
        issue = Issue(("source",), "Required")
        message = "Missing required parameters for stream upload: source. Send it as X-Source or as ?source=."
        raise InvalidRequest(message, [issue])
