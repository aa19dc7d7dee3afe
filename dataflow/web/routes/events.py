"""GET /jobs/{id}/events: what becomes of a job, told while it happens."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, stream_with_context
from marshmallow import Schema

from dataflow.db import borrowed
from dataflow.errors import DatabaseError, RequestError
from dataflow.queue import jobs
from dataflow.web import parameters, server_sent_events
from dataflow.web.answers.jobs import EventSchema
from dataflow.web.caller import caller
from dataflow.web.client_line import ClientLine
from dataflow.web.event_stream import EventStream
from dataflow.web.openapi import examples, headers
from dataflow.web.openapi.description import Answer, bare_answer, described
from dataflow.web.routes.jobs import as_json, visible
from dataflow.web.services import services

blueprint = Blueprint("events", __name__)

_NO_OPTIONS = Schema()


@blueprint.get("/jobs/<uuid:job_id>/events")
@described(
    "What becomes of a job, told while it happens (server-sent events)",
    {
        200: Answer(
            "`progress` and at the end `done`, each with the job as `GET /jobs/{jobId}` shows it.",
            {server_sent_events.MEDIA_TYPE: (EventSchema, examples.EVENT)},
            [headers.CACHE_CONTROL],
        ),
        204: bare_answer("It has ended, and the client knows.", [headers.CACHE_CONTROL]),
    },
    headers=[headers.LAST_EVENT_ID],
    errors=["job_not_found", "too_many_event_streams"],
)
def show(job_id: UUID) -> Response:
    """A token that expires meanwhile does not end it, as it ends no upload that has begun."""
    parameters.read(_NO_OPTIONS, parameters.query())
    with borrowed(services().pool) as connection:
        row = jobs.get(connection, job_id, caller().scope_of_jobs)
    if row["finished_at"] is None:
        return _described(_followed(row))
    if request.headers.get("Last-Event-ID") == server_sent_events.id_of(row):
        # Else a browser would come back for ever.
        return Response(status=204, headers={"Cache-Control": "no-store"})
    return _described(Response(server_sent_events.BEGIN + server_sent_events.event(row, _shown(row))))


def _followed(row: dict[str, Any]) -> Response:
    """:raises RequestError: too_many_event_streams."""
    if request.method == "HEAD":
        return Response(iter(()))  # as long as nobody knows
    line = ClientLine.of_request()
    if not line.may_wait:
        raise RequestError(
            f"This process has {services().config.max_event_streams} event streams already (MAX_EVENT_STREAMS). "
            "Try again soon, or ask for the job itself.",
            code="too_many_event_streams",
        )
    stream = EventStream(services().event_feed, line, row["job_id"])
    return Response(stream_with_context(stream.pieces(row, request.headers.get("Last-Event-ID"), _shown)))


def _described(response: Response) -> Response:
    response.headers["Content-Type"] = server_sent_events.MEDIA_TYPE
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would keep events until it has a page of them
    return response


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    if row["duplicate_of"] is None or not caller().is_token:
        return as_json(row)
    try:
        with borrowed(services().pool) as connection:
            [row] = visible(connection, [row])
    except DatabaseError:
        # Not known to be theirs.
        row = {**row, "duplicate_of": None}
    return as_json(row)
