"""GET /jobs/{id}/rejects: the refused rows of a job, a page of them as JSON or all of them as CSV or NDJSON."""

import json
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, after_this_request, request
from marshmallow import Schema, validate
from marshmallow import fields as typed
from werkzeug.datastructures import MIMEAccept

from dataflow.db import borrowed
from dataflow.errors import JobError, RequestError
from dataflow.formats.block import PIECE_BYTES
from dataflow.imports import rejects_file
from dataflow.imports.option_kinds import Number
from dataflow.imports.rejects_file import Layout, Reject
from dataflow.queue import jobs
from dataflow.web import links, parameters
from dataflow.web.answers.jobs import RejectsPageSchema
from dataflow.web.caller import caller
from dataflow.web.client_line import ClientLine
from dataflow.web.openapi import examples, headers
from dataflow.web.openapi.description import SUCCESS, Answer, described
from dataflow.web.services import services

blueprint = Blueprint("rejects", __name__)

#: Best first where Accept leaves a choice: media type, format.
MEDIA_TYPES: Final = {
    "application/json": "json",
    "text/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
}
MAX_LIMIT: Final = 1000


class RejectsQuery(Schema):
    format = typed.String(validate=validate.OneOf([*dict.fromkeys(MEDIA_TYPES.values())], error="Expected {choices}"))
    limit = Number(MAX_LIMIT, lowest=1)
    cursor = Number(2**63 - 1)


_QUERY = RejectsQuery()


@blueprint.get("/jobs/<uuid:job_id>/rejects")
@described(
    "The refused rows of a job that has ended",
    {
        200: Answer(
            "A page of them as JSON; or all, as a file that imports when it is corrected.",
            {
                "application/json": (RejectsPageSchema, examples.REJECTS),
                "text/csv": ({"type": "string"}, examples.REJECTS_TABLE),
                "application/x-ndjson": ({"type": "string"}, examples.REJECTS_LINES),
                "application/ndjson": ({"type": "string"}, None),
            },
            [headers.LINK, replace(headers.DISPOSITION, is_required=False)],
        )
    },
    text="Without `format`, `Accept` decides. `limit` and `cursor` are for JSON.",
    query=RejectsQuery,
    errors=["job_not_found", "job_unfinished", "rejects_gone", "not_acceptable", "too_many_uploads", "job_conflict"],
    examples={SUCCESS: {"format": "json", "limit": 10}},
)
def show(job_id: UUID) -> Response:
    after_this_request(_vary)
    wanted = parameters.read(_QUERY, parameters.query())
    media_type = _media_type(wanted.pop("format", None))
    form = MEDIA_TYPES[media_type]
    if form != "json" and wanted:
        raise RequestError(f"{' and '.join(wanted)}: a rejects file is always complete; only JSON comes in pages.")
    with borrowed(services().pool) as connection:
        job = jobs.get(connection, job_id, caller().scope_of_jobs)
        if job["finished_at"] is None:
            raise JobError(
                f"Job {job_id} is {job['state']}; its rejects are known when it has ended.", code="job_unfinished"
            )
        if job["rows_rejected"] and not rejects_file.page(connection, job_id, job["finished_at"], 0, 1):
            raise JobError(
                f"{job['rows_rejected']} refused rows of job {job_id} are gone: removed by DELETE or after "
                "JOB_RETENTION_DAYS, or never kept because the job was cancelled or lost its worker.",
                code="rejects_gone",
            )
    return _page(job, **wanted) if form == "json" else _file(job, form, media_type)


def _vary(response: Response) -> Response:
    response.vary.add("Accept")
    return response


def _media_type(wanted: str | None) -> str:
    """What to answer with: `wanted`, else what Accept likes best (RFC 9110 section 12.5.1).

    :raises RequestError: not_acceptable when it likes nothing that there is.
    """
    if wanted:
        return next(media_type for media_type, form in MEDIA_TYPES.items() if form == wanted)
    # Without parameters, of which none (charset, header) would change what is answered.
    liked = MIMEAccept((wish.partition(";")[0].strip(), quality) for wish, quality in request.accept_mimetypes)
    found = liked.best_match(MEDIA_TYPES) if liked else "application/json"
    if found is None:
        raise RequestError(
            f"There is none of what Accept asks for. There is: {', '.join(MEDIA_TYPES)}.", code="not_acceptable"
        )
    return found


def _page(job: dict[str, Any], limit: int = 100, cursor: int = 0) -> Response:
    with borrowed(services().pool) as connection:
        rows = rejects_file.page(connection, job["job_id"], job["finished_at"], cursor, limit + 1)
    page, further = links.paged(rows, limit, itemgetter("record"))
    body = f'{{"rejects":[{",".join(map(_as_json, page))}],"columns":{json.dumps(_columns(job))}}}\n'
    return Response(body, content_type="application/json", headers=further)


def _as_json(reject: Reject) -> str:
    told = json.dumps({name: reject[name] for name in ("record", "line", "field", "code", "message")})
    # The row is put in as it is: to read and to write it again could change numbers, or fail at its depth.
    row, truncated = _as_row(reject["original"]), json.dumps(reject["truncated"])
    return f'{told[:-1]}, "row": {row}, "truncated": {truncated}}}'


def _as_row(original: str) -> str:
    """Cells and JSON as they are, everything else as text."""
    try:
        json.loads(original, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return json.dumps(original)
    return original


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _columns(job: dict[str, Any]) -> list[str]:
    columns: list[str] = job["detected"].get("columns", [])
    return columns


def _file(job: dict[str, Any], form: str, media_type: str) -> Response:
    """All of them, as a file that imports when it is corrected. Breaks off when they are removed meanwhile."""
    rejects = rejects_file.every(services().pool, job["job_id"], job["finished_at"])
    lines = {"csv": rejects_file.csv_lines, "ndjson": rejects_file.ndjson_lines}[form]
    wanted = lines(Layout.of(_columns(job), job["options"].get("mapping")), rejects)
    pieces = _sent(_pieces(wanted), ClientLine.of_request())
    # Begun while an error can still be told.
    response = Response(chain([next(pieces)], pieces), mimetype=media_type)
    response.call_on_close(pieces.close)
    response.headers["Content-Disposition"] = f'attachment; filename="rejects-{job["job_id"]}.{form}"'
    return response


def _sent(pieces: Iterable[bytes], line: ClientLine) -> Generator[bytes, None, None]:
    """The same pieces; holds a place until all are taken, and is hung up on when it has to give way."""
    # A client that takes nothing would hold its thread for ever.
    patience = line.patience(services().config.upload_stall_seconds)
    with patience, services().transfers.file(line.hang_up, line.has_left) as transfer:
        yield from transfer.pace.sent(pieces)


def _pieces(lines: Iterable[str]) -> Iterator[bytes]:
    waiting: list[str] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= PIECE_BYTES:
            yield "".join(waiting).encode()
            waiting.clear()
            size = 0
    yield "".join(waiting).encode()
