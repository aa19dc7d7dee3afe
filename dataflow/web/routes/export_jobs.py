"""POST /exports and /exports/{id}: an export as a job, and the file that it has made."""

from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from marshmallow import Schema

from dataflow import logs
from dataflow.db import borrowed
from dataflow.errors import FileUnfinished, JobError
from dataflow.exports import order
from dataflow.exports.formats import JOB_FORMATS
from dataflow.queue import jobs, retention
from dataflow.queue.idempotency import Answer
from dataflow.web import file_answer, idempotency, json_body, links, parameters
from dataflow.web.answers.imports import AcceptedSchema
from dataflow.web.answers.jobs import JobSchema
from dataflow.web.caller import caller
from dataflow.web.export_query import ExportOrder
from dataflow.web.openapi import errors, examples, headers
from dataflow.web.openapi.description import JSON, SUCCESS, Body, bare_answer, described, json_answer, typed_answer
from dataflow.web.routes.jobs import as_json
from dataflow.web.services import services

blueprint = Blueprint("export_jobs", __name__)

_ORDER, _NO_OPTIONS, _ACCEPTED = ExportOrder(), Schema(), AcceptedSchema()
_EXAMPLE: Final = '{"format": "csv", "source": "shop"}'


_BYTES: Final = {"type": "string", "format": "binary"}
_FILE: Final[dict[str, tuple[Any, Any]]] = {
    **{form.media_type.partition(";")[0]: (_BYTES, None) for form in JOB_FORMATS.values()},
    JSON: ({"type": "array", "items": {"type": "object"}}, None),
}


@blueprint.post("/exports")
@described(
    "Export contacts into a file that is kept for a while",
    {202: json_answer("The job is queued.", AcceptedSchema, examples.ACCEPTED, [headers.LOCATION])},
    text="What the query has counts, else the body. The contacts are in no particular order; `limit` takes the newest.",
    query=ExportOrder,
    headers=[headers.IDEMPOTENCY_KEY],
    body=Body({JSON: (ExportOrder, {SUCCESS: {"format": "csv", "source": examples.SOURCE}})}, is_required=False),
    errors=["job_not_found", "job_unfinished", "request_entity_too_large", *errors.OF_BODIES, *errors.OF_KEYS],
)
def create() -> ResponseReturnValue:
    """Queue an export of what the query, or else the body asks for."""
    query = parameters.query()
    wanted = parameters.read(_ORDER, {**json_body.read(_EXAMPLE, is_optional=True), **query})
    caller().check_options({"source": wanted.get("source")})
    with idempotency.claimed("exports", _as_facts(wanted), _answer) as claim:
        if claim.recorded and claim.recorded.answer:
            return claim.recorded.answer
        with borrowed(services().pool) as connection:
            by = {"request_id": logs.request_id.get(), "created_by": caller().created_by}
            job_id = order.order(connection, caller().scope_of_jobs, wanted, **by)
            claim.link(connection, job_id)
            claim.record(connection, job_id, True, None)
    return _answer(job_id, True)


def _as_facts(wanted: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in wanted.items()}


def _answer(job_id: UUID, _is_queued: bool) -> Answer:
    return Answer(_ACCEPTED.of({"jobId": job_id}), 202, {"Location": links.to("export_jobs.show", job_id=job_id)})


@blueprint.get("/exports/<uuid:job_id>")
@described(
    "The job of an export",
    {200: json_answer("The job.", JobSchema, examples.EXPORT)},
    errors=["job_not_found"],
)
def show(job_id: UUID) -> dict[str, Any]:
    parameters.read(_NO_OPTIONS, parameters.query())
    job, of_job = _found(job_id), links.to("jobs.show", job_id=job_id)
    own = {
        "self": links.to("export_jobs.show", job_id=job_id),
        "job": of_job,
        "file": links.to("export_jobs.fetch", job_id=job_id),
        "events": f"{of_job}/events",
    }
    return {**as_json(job), "links": own}


@blueprint.get("/exports/<uuid:job_id>/file")
@described(
    "The file of an export, or a part of it",
    {
        200: typed_answer("All of it.", _FILE, headers.FETCHED),
        206: typed_answer("The part.", _FILE, [*headers.FETCHED, headers.CONTENT_RANGE]),
        304: bare_answer("It is the one that is known.", headers.UNCHANGED),
    },
    headers=headers.FETCHING,
    errors=[
        *("job_not_found", "job_unfinished", "export_not_made", "export_expired", "too_many_exports", "export_cut"),
        *("too_many_uploads", "range_not_satisfiable", *errors.OF_THE_STORAGE),
    ],
)
def fetch(job_id: UUID) -> Response:
    """The file, or a part of it, as long as it is kept."""
    parameters.read(_NO_OPTIONS, parameters.query())
    job = _found(job_id)
    return file_answer.of(job, _key(job))


def _found(job_id: UUID) -> dict[str, Any]:
    """:raises JobError: job_not_found when there is no such export."""
    with borrowed(services().pool) as connection:
        job = jobs.get(connection, job_id, caller().scope_of_jobs)
    if job["kind"] != "export":
        raise JobError(f"There is no export {job_id}.", code="job_not_found")
    return job


def _key(job: dict[str, Any]) -> str:
    """:raises JobError: job_unfinished, export_not_made or export_expired when there is no file."""
    name = f"Export {job['job_id']}"
    if job["finished_at"] is None:
        raise FileUnfinished(f"{name} is {job['state']}; its file is there when it has succeeded.")
    if job["state"] != "succeeded":
        reason = f": {job['error']}" if job["error"] else "."
        raise JobError(f"{name} has {job['state']} and made no file{reason}", code="export_not_made")
    with borrowed(services().pool) as connection:
        key = retention.made_file(connection, job["job_id"])
    if key is None:
        raise JobError(f"The file of export {job['job_id']} is not kept any more: export again.", code="export_expired")
    return key
