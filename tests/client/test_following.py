"""Following a job: by events where there are any, and by asking where there are none for us."""

import json
from contextlib import closing
from typing import Any

import pytest

from dataflow.client import following, looks
from dataflow.client.progress import Progress
from dataflow.client.service import Service
from dataflow.errors import RequestError
from tests.support.scripted_server import Answer, ScriptedServer, scripted

pytestmark = pytest.mark.unit

JOB, EVENTS = "/jobs/1", "/jobs/1/events"
STREAM = {"Content-Type": "text/event-stream; charset=utf-8"}


def job(state: str, rows: int = 0) -> dict[str, Any]:
    finished = "2026-11-29T12:00:00Z" if state in ("succeeded", "failed") else None
    return {
        **{"jobId": "1", "kind": "import", "state": state, "rowsRead": rows, "bytesDone": rows, "bytesTotal": 100},
        "finishedAt": finished,
    }


def asked(state: str, rows: int = 0) -> Answer:
    return Answer(body=json.dumps(job(state, rows)).encode())


def event(state: str, rows: int = 0, number: int = 1) -> bytes:
    kind = "done" if state == "succeeded" else "progress"
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(job(state, rows))}\n\n".encode()


def told(*parts: bytes, is_cut: bool = False, is_held: bool = False) -> Answer:
    return Answer(200, b"retry: 10\n\n" + b"".join(parts), STREAM, is_cut, is_held)


def followed(server: ScriptedServer) -> dict[str, Any]:
    with Service(server.url) as service, closing(Progress()) as progress:
        return following.finished(service, "1", progress)


def test_a_job_is_followed_by_its_events_alone(capsys: pytest.CaptureFixture[str]) -> None:
    # The connection stays open: what ends the wait is the event.
    events = told(event("queued"), b":\n\n", event("running", 40), event("succeeded", 100), is_held=True)
    with scripted({EVENTS: [events]}) as server:
        assert followed(server) == job("succeeded", 100)
        assert server.paths() == [EVENTS]
        assert server.asked[0][1]["Accept"] == "text/event-stream"
    assert capsys.readouterr().err.splitlines()[-1] == f"succeeded [{'#' * 30}] 100% 100 rows"


@pytest.mark.parametrize("is_cut", [True, False])
def test_events_that_break_off_go_on_behind_the_last_that_came(is_cut: bool) -> None:
    first = told(event("running", 1, number=7), b"id: 8\nevent: progress\ndata: {half", is_cut=is_cut)
    with scripted({EVENTS: [first, told(event("succeeded", 100, number=9))]}) as server:
        assert followed(server)["rowsRead"] == 100
        assert [headers.get("Last-Event-ID") for _, headers in server.asked] == [None, "7"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, b'{"error": "Not found", "code": "not_found", "status": 404}'),
        Answer(501, b"<h1>Not Implemented</h1>", {"Content-Type": "text/html"}),
        Answer(503, b'{"error": "Full", "code": "too_many_event_streams", "status": 503}', {"Retry-After": "5"}),
        Answer(204, b"", STREAM),
        Answer(200, b"<h1>Welcome</h1>", {"Content-Type": "text/html"}),
        told(b"data: [1]\n\n"),
        told(b"data: {half\n\n"),
    ],
)
def test_a_service_without_events_for_us_is_asked_again_and_again(answer: Answer) -> None:
    with scripted({EVENTS: [answer], JOB: [asked("queued"), asked("running"), asked("succeeded", 9)]}) as server:
        assert followed(server)["rowsRead"] == 9
        assert server.paths() == [EVENTS, JOB, JOB, JOB]


def test_a_job_that_was_deleted_meanwhile_is_not_waited_for() -> None:
    gone = Answer(404, b'{"error": "There is no job 1.", "code": "job_not_found", "status": 404}')
    answers = {EVENTS: [told(event("running")), gone], JOB: [gone]}
    with scripted(answers) as server, pytest.raises(RequestError, match="There is no job 1"):
        followed(server)


def test_a_proxy_that_knows_nothing_is_waited_for() -> None:
    proxys = Answer(404, b"<h1>No such app</h1>", {"Content-Type": "text/html"})
    with scripted({EVENTS: [proxys], JOB: [proxys, asked("running"), proxys, asked("succeeded")]}) as server:
        assert followed(server)["state"] == "succeeded"


def test_whoever_waits_is_called_also_while_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "TICK_SECONDS", 0.01)
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise RequestError("seen enough")

    silent = {EVENTS: [told(event("running"), is_held=True)]}
    with scripted(silent) as server, Service(server.url) as service, pytest.raises(RequestError, match="seen enough"):
        following.finished(service, "1", Progress(), count)


def test_a_stream_that_falls_silent_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "EVENTS_TIMEOUT_SECONDS", 0.3)
    with scripted({EVENTS: [told(event("running"), is_held=True), told(event("succeeded", 100))]}) as server:
        assert followed(server)["state"] == "succeeded"
        assert len(server.asked) == 2


def test_a_connection_that_breaks_again_and_again_is_no_service_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOST_SECONDS", 0.5)
    with scripted({EVENTS: [told(event("queued"), is_cut=True)] * 60 + [told(event("succeeded"))]}) as server:
        assert followed(server)["state"] == "succeeded"
        assert len(server.asked) == 61
