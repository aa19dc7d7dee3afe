"""/jobs and /jobs/{id}: what became of an import; stopping, repeating, undoing and forgetting it."""

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from marshmallow import Schema, validate
from marshmallow import fields as typed

from dataflow import logs
from dataflow.contacts.schema import check_storable
from dataflow.db import Connection, borrowed
from dataflow.imports import revert as imports_revert
from dataflow.imports.option_kinds import Number
from dataflow.queue import jobs, retention
from dataflow.queue.scope import Scope
from dataflow.web import links, parameters, preferences
from dataflow.web.answers.jobs import JobSchema, JobsPageSchema
from dataflow.web.caller import caller
from dataflow.web.client_line import ClientLine
from dataflow.web.event_stream import EventStream
from dataflow.web.openapi import errors, examples, headers
from dataflow.web.openapi.description import SUCCESS, Answer, described, json_answer
from dataflow.web.services import services

blueprint = Blueprint("jobs", __name__)


class JobQuery(Schema):
    state = typed.String(load_default=None, validate=validate.OneOf(jobs.STATES, error="Expected one of {choices}"))
    kind = typed.String(load_default=None, validate=validate.OneOf(jobs.KINDS, error="Expected one of {choices}"))
    source = typed.String(load_default=None, validate=check_storable)
    limit = Number(1000, lowest=1, load_default=50)
    cursor = typed.UUID(load_default=None)


def _answered(text: str, example: dict[str, Any]) -> Answer:
    return json_answer(text, JobSchema, example, [headers.LOCATION])


#: Stands for the id of a job.
_ANY = str(UUID(int=0))
_QUERY, _NO_OPTIONS, _JOB = JobQuery(), Schema(), JobSchema()


@blueprint.get("/jobs/<uuid:job_id>")
@described(
    "One job, with the issues of its refused rows",
    {200: json_answer("The job.", JobSchema, examples.JOB, [headers.PREFERENCE_APPLIED])},
    headers=[headers.PREFER],
    errors=["job_not_found"],
)
def show(job_id: UUID) -> ResponseReturnValue:
    parameters.read(_NO_OPTIONS, parameters.query())
    row = _found(job_id)
    seconds, further = preferences.wait_seconds(request.headers.get("Prefer", "")), {"Vary": "Prefer"}
    if seconds and not row["finished_at"]:
        line = ClientLine.of_request()
        # Where there is no thread for it, the client hears that nobody has waited.
        if line.may_wait:
            EventStream(services().event_feed, line, job_id).wait(seconds)
            row = _found(job_id)
            further["Preference-Applied"] = f"wait={seconds}"
    return as_json(row), further


@blueprint.get("/jobs")
@described(
    "Jobs, the newest first",
    {200: json_answer("A page of them.", JobsPageSchema, examples.JOBS, [headers.LINK])},
    query=JobQuery,
    examples={SUCCESS: {"state": "succeeded", "limit": 10}, "invalid_request": {"limit": 0}},
)
def index() -> ResponseReturnValue:
    wanted = parameters.read(_QUERY, parameters.query())
    caller().check_options({"source": wanted["source"]})
    with borrowed(services().pool) as connection:
        found = jobs.page(connection, caller().scope_of_jobs, {**wanted, "limit": wanted["limit"] + 1})
        rows = visible(connection, found)
    page, further = links.paged(rows, wanted["limit"], itemgetter("job_id"))
    shared = _links()
    return {"jobs": [as_json(row, shared) for row in page]}, further


@blueprint.post("/jobs/<uuid:job_id>/cancel")
@described(
    "Stop a job that has not ended",
    {202: _answered("Nothing of it will be kept; what is running stops within a heartbeat.", examples.CANCELLED)},
    errors=["job_not_found", "job_finished"],
)
def cancel(job_id: UUID) -> ResponseReturnValue:
    """Stop a job that has not ended; its request or its worker finds out within a heartbeat."""
    return _changed(job_id, jobs.cancel)


@blueprint.post("/jobs/<uuid:job_id>/retry")
@described(
    "Queue a failed or cancelled job again",
    {202: _answered("It is queued.", examples.QUEUED)},
    errors=["job_not_found", "job_finished", "job_unfinished", "job_held", "object_forgotten"],
)
def retry(job_id: UUID) -> ResponseReturnValue:
    """Queue a failed or cancelled job again, as long as its file is kept."""
    return _changed(job_id, jobs.retry)


@blueprint.post("/jobs/<uuid:job_id>/revert")
@described(
    "Undo an import: delete the contacts that it has created",
    {202: _answered("The job that does it, or has.", examples.REVERT)},
    errors=["job_not_found", "not_revertible"],
)
def revert(job_id: UUID) -> ResponseReturnValue:
    """The job that will delete an import's contacts, or has."""
    by = caller().created_by
    return _changed(job_id, partial(imports_revert.order, request_id=logs.request_id.get(), created_by=by))


@blueprint.delete("/jobs/<uuid:job_id>")
@described(
    "Remove what a job that has ended keeps of people",
    {204: Answer("File, file name and refused rows are gone; job and contacts stay.")},
    errors=["job_not_found", "job_unfinished", *errors.OF_THE_STORAGE],
)
def forget(job_id: UUID) -> Response:
    """Remove what a finished job keeps of people."""
    parameters.read(_NO_OPTIONS, parameters.query())
    with borrowed(services().pool) as connection:
        file = retention.forget(connection, job_id, caller().scope_of_jobs)
    are_left = True
    while are_left:
        with borrowed(services().pool) as connection:
            are_left = retention.forget_rejects(connection, job_id) > 0
    if file is not None:
        services().storage.discard(file.object_key, file.upload_url)
        # What never became whole may still be arriving: the sweep looks again when its request has surely ended.
        if file.is_complete:
            with borrowed(services().pool) as connection:
                retention.mark_object_deleted(connection, job_id)
    return Response(status=204)


def _found(job_id: UUID) -> dict[str, Any]:
    with borrowed(services().pool) as connection:
        [row] = visible(connection, [jobs.get(connection, job_id, caller().scope_of_jobs)])
    return row


def _changed(job_id: UUID, change: Callable[[Connection, UUID, Scope], UUID | None]) -> ResponseReturnValue:
    """Shows the job that `change` names, else the one that it was about."""
    parameters.read(_NO_OPTIONS, parameters.query())
    scope = caller().scope_of_jobs
    with borrowed(services().pool) as connection:
        [row] = visible(connection, [jobs.get(connection, change(connection, job_id, scope) or job_id, scope)])
    shown = as_json(row)
    return shown, 202, {"Location": shown["links"]["self"]}


def visible(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without what the holder of a token may not know: jobs that were not made with it."""
    if not caller().is_token:
        return rows
    own = jobs.sent_by(connection, caller().created_by, [row["duplicate_of"] for row in rows])
    return [{**row, "duplicate_of": row["duplicate_of"] if row["duplicate_of"] in own else None} for row in rows]


def as_json(row: dict[str, Any], of_any: dict[str, str] | None = None) -> dict[str, Any]:
    """What a client sees of a job; `of_any` are `_links`, for whoever shows many."""
    own = {name: link.replace(_ANY, str(row["job_id"])) for name, link in (of_any or _links()).items()}
    made = {"file": links.to("export_jobs.fetch", job_id=row["job_id"])} if row["kind"] == "export" else {}
    return _JOB.of({**row, "links": {**own, **made}})


def _links() -> dict[str, str]:
    """Where else there is something of the job _ANY: filling in another id is faster than building each link."""
    views = {"self": "jobs.show", "rejects": "rejects.show", "events": "events.show"}
    return {name: links.to(view, job_id=_ANY) for name, view in views.items()}
