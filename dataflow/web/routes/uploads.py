"""/uploads and /uploads/{id}: uploads in several requests, which survive lost connections and reloads (tus 1.0.0)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from marshmallow import Schema
from werkzeug.http import parse_options_header

from dataflow import logs
from dataflow.errors import RequestError
from dataflow.imports.idempotency import Claim, declared
from dataflow.imports.option_kinds import charset_label
from dataflow.imports.options import OptionsSchema
from dataflow.imports.resumable import ResumableUpload
from dataflow.imports.resumable_session import ResumableSession
from dataflow.imports.upload import Upload
from dataflow.queue.idempotency import Answer
from dataflow.storage.tus_headers import RESUMABLE, VERSION
from dataflow.web import idempotency, links, parameters, tus
from dataflow.web.answers.imports import UploadSchema
from dataflow.web.caller import caller
from dataflow.web.form import base_name, plain_media_type
from dataflow.web.limits import max_body_bytes, size_limit
from dataflow.web.method_override import PATH
from dataflow.web.openapi import tus_routes
from dataflow.web.request_body import RawBody
from dataflow.web.services import services

blueprint = Blueprint("uploads", __name__)

_OPTIONS, _NO_OPTIONS, _SHOWN = OptionsSchema(), Schema(), UploadSchema()
_PATHS = ("/uploads", "/uploads/<uuid:job_id>")


@blueprint.before_request
def check_version() -> None:
    if request.method not in ("OPTIONS", "GET"):
        tus.check_version(request.headers)


@blueprint.after_app_request
def name_version(response: Response) -> Response:
    """Answers that no route gives, such as 404 and 405, are answers of this server, too."""
    if PATH.fullmatch(request.path):
        response.headers.update(RESUMABLE)
        if response.status_code == 412:
            response.headers["Tus-Version"] = VERSION
    return response


@blueprint.route(_PATHS[0], methods=["OPTIONS"], provide_automatic_options=False)
@blueprint.route(_PATHS[1], methods=["OPTIONS"], provide_automatic_options=False)
@tus_routes.tells
def tell(job_id: UUID | None = None) -> ResponseReturnValue:  # noqa: ARG001 - the same for each
    """What this server can do."""
    return "", 204, tus.capabilities(max_body_bytes())


@blueprint.route(_PATHS[0], methods=["POST"], provide_automatic_options=False)
@tus_routes.creates
def create() -> ResponseReturnValue:
    """A new upload, and perhaps its first bytes. With an Idempotency-Key that made one before: that one."""
    wanted, checksum = tus.creation(request.headers), tus.checksum(request.headers)
    _check_size(wanted.length or 0)
    with _arriving() as body:
        upload = _describe(wanted, body)
        facts = [declared(upload), wanted.length, wanted.metadata]
        with idempotency.claimed("uploads", facts, _created) as claim:
            if claim.recorded and claim.recorded.job_id:
                shown = services().resumable.find(claim.recorded.job_id, caller().scope_of_jobs)
            else:
                shown = _begin(upload, wanted, checksum, body, claim)
    made = _created(shown.job_id)
    return made.body, made.status, {**_headers(shown), **made.headers}


def _created(job_id: UUID, _: bool = False) -> Answer:
    return Answer("", 201, {"Location": links.to("uploads.show", job_id=job_id)})


def _begin(
    upload: Upload, wanted: tus.Creation, checksum: tus.Checksum | None, body: RawBody, claim: Claim
) -> ResumableUpload:
    with services().resumable.created(upload, wanted, body.evict, claim) as session:
        if wanted.is_with_upload or wanted.length == 0:
            _check_size(request.content_length or 0, session)
            with body.place():
                session.append(body.pieces() if wanted.is_with_upload else iter(()), max_body_bytes(), checksum)
    return ResumableUpload.of(session.row)


@blueprint.route(_PATHS[1], methods=["GET"], provide_automatic_options=False)
@tus_routes.shows
@tus_routes.measures
def show(job_id: UUID) -> ResponseReturnValue:
    """How far it is: for HEAD as the storage says, else as the row has it, which disturbs nobody."""
    parameters.read(_NO_OPTIONS, parameters.query())
    if request.method == "HEAD":
        tus.check_version(request.headers)
        return _measure(job_id)
    found = services().resumable.find(job_id, caller().scope_of_jobs)
    own = {"self": links.to("uploads.show", job_id=job_id), "job": links.to("jobs.show", job_id=job_id)}
    shown = {**asdict(found), "expires_at": found.expires_at if found.is_open else None, "links": own}
    return _SHOWN.of(shown), _headers(found)


@blueprint.route(_PATHS[1], methods=["PATCH"], provide_automatic_options=False)
@tus_routes.appends
def append(job_id: UUID) -> ResponseReturnValue:
    """The bytes that follow; the last of them make it a job."""
    parameters.read(_NO_OPTIONS, parameters.query())
    wanted = tus.patch(request.headers)
    with _measured(job_id) as (session, found, body):
        shown = found
        if wanted.offset != shown.offset or (not shown.is_open and request.content_length):
            raise RequestError(f"The upload is at {shown.offset}, not at {wanted.offset}.", code="offset_conflict")
        if session:
            if wanted.length is not None:
                _check_size(wanted.length)
                session.declare_length(wanted.length)
            _check_size(request.content_length or 0, session)
            with body.place():
                session.append(body.pieces(), max_body_bytes(), wanted.checksum)
            shown = ResumableUpload.of(session.row)
    return "", 204, _headers(shown)


@blueprint.route(_PATHS[1], methods=["DELETE"], provide_automatic_options=False)
@tus_routes.ends
def terminate(job_id: UUID) -> ResponseReturnValue:
    parameters.read(_NO_OPTIONS, parameters.query())
    with _held(job_id) as (found, _):
        if not isinstance(found, ResumableSession):
            raise RequestError(
                f"All of the upload is here, and it is {found.state}. Cancel its job instead.", code="upload_complete"
            )
        found.end("cancelled")
    return "", 204


def _measure(job_id: UUID) -> ResponseReturnValue:
    with _measured(job_id) as (_, shown, _):
        return "", 200, {**_headers(shown), **tus.description(shown)}


@contextmanager
def _measured(job_id: UUID) -> Iterator[tuple[ResumableSession | None, ResumableUpload, RawBody]]:
    """An upload as the storage has it, and the session that may go on with it, unless all of it is there."""
    with _held(job_id) as (found, body):
        if isinstance(found, ResumableUpload):
            yield None, found, body
        else:
            found.measure()
            shown = ResumableUpload.of(found.row)
            yield found if shown.is_open else None, shown, body


@contextmanager
def _held(job_id: UUID) -> Iterator[tuple[ResumableSession | ResumableUpload, RawBody]]:
    with (
        _arriving() as body,
        services().resumable.held(job_id, caller().scope_of_jobs, body.evict, body.stop) as found,
    ):
        yield found, body


@contextmanager
def _arriving() -> Iterator[RawBody]:
    body = RawBody(request, services().transfers, services().config.upload_stall_seconds)
    try:
        yield body
    finally:
        body.close()


def _describe(wanted: tus.Creation, body: RawBody) -> Upload:
    sender = caller()
    given = parameters.read(_OPTIONS, {**wanted.options, **parameters.import_headers(), **parameters.query()})
    sender.check_options(given)
    media_type, facts = parse_options_header(wanted.fields.get("filetype", ""))
    name = wanted.fields.get("filename")
    upload = Upload(
        iter(()),
        plain_media_type(media_type),
        given={**given, **sender.own_options},
        file_name=base_name(name) if name else None,
        charset=charset_label(facts.get("charset", "")),
        request_id=logs.request_id.get(),
        created_by=sender.created_by,
        stop=body.stop,
    )
    upload.require_source("Invalid source: Required. Send it as source in Upload-Metadata, as ?source= or X-Source.")
    return upload


def _check_size(size_bytes: int, session: ResumableSession | None = None) -> None:
    """:raises RequestError: upload_too_large when so many more bytes are too many."""
    end = size_bytes + (session.row.bytes_done if session else 0)
    size_limit().check(end)
    if session and session.row.length is not None and end > session.row.length:
        raise RequestError(
            f"The upload would have {end} bytes, and its Upload-Length is {session.row.length}.",
            code="upload_too_large",
        )


def _headers(shown: ResumableUpload) -> dict[str, str]:
    return {**tus.answer(shown), "Link": f'<{links.to("jobs.show", job_id=shown.job_id)}>; rel="related"'}
