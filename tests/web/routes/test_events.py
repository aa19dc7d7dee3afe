"""GET /jobs/{id}/events and Prefer: wait over real HTTP: who is told what and when, and what becomes of a client that
leaves, does not read, or comes too many.

One web process serves the whole module. It has three places for streams and loses patience after two seconds.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from uuid import UUID

import pytest
import requests

from dataflow import db
from dataflow.ids import uuid7
from tests.support.event_streams import EventClient, ask_for_events
from tests.support.flask_web import FlaskWeb
from tests.support.jobs import enqueue, set_state, upload
from tests.support.processes import Web
from tests.support.waiting import eventually

PLACES = 3
WEB_VARIABLES = {"MAX_EVENT_STREAMS": PLACES, "UPLOAD_STALL_SECONDS": 2}
CSV = {"Content-Type": "text/csv", "X-Source": "crm"}
LARGE = "UPDATE jobs SET detected = jsonb_build_object('text', repeat('x', 8000000)) WHERE id = %s"
BODY = b"name,email\nAnn,ann@example.com\n"


@pytest.fixture
def job_id(connection: db.Connection) -> UUID:
    """One that is queued, and that nobody works on."""
    return enqueue(connection)


def is_free(web: Web, job_id: UUID) -> bool:
    with EventClient(web, job_id) as client:
        return client.status == 200


@contextmanager
def all_places(web: Web, job_id: UUID) -> Iterator[list[EventClient]]:
    """Clients that have them all; who had one before may still be leaving."""
    with ExitStack() as stack:

        def begun() -> EventClient | None:
            client = EventClient(web, job_id)
            if client.status == 200:
                return stack.enter_context(client)
            client.leave()
            return None

        yield [eventually(begun, every_seconds=0.1) for _ in range(PLACES)]


# What is told.


def test_an_import_is_told_from_its_queue_to_its_end(web: Web, work_off: Callable[[], int]) -> None:
    job_id = web.post(data=BODY, headers=CSV).json()["jobId"]
    with EventClient(web, job_id) as client:
        assert client.headers["Content-Type"] == "text/event-stream"
        assert client.headers["Cache-Control"] == "no-store"
        assert client.headers["X-Accel-Buffering"] == "no"
        event = client.next()
        assert (event.name, event.job) == ("progress", web.job(job_id))
        assert client.retry == "1000"
        with ThreadPoolExecutor(1) as beside:
            worked = beside.submit(list, client)
            assert work_off() == 0
            events = worked.result()
    assert {event.name for event in events[:-1]} <= {"progress"}
    job, told = web.job(job_id), events[-1]
    # What is noted afterwards is not waited for.
    assert {**told.job, "objectDeletedAt": job["objectDeletedAt"]} == job
    assert (told.name, told.job["state"], told.job["rowsImported"]) == ("done", "succeeded", 1)
    assert len({event.id for event in events}) == len(events)


def test_each_change_is_an_event_and_what_stays_is_none(web: Web, job_id: UUID, connection: db.Connection) -> None:
    with EventClient(web, job_id, before="/v1") as client:
        first = client.next()
        assert first.job["links"]["events"] == f"/v1/jobs/{job_id}/events"
        for number in (1, 2):
            connection.execute("UPDATE jobs SET bytes_done = %s WHERE id = %s", [number, job_id])
            event = client.next()
            assert (event.name, event.job["bytesDone"]) == ("progress", number)
        # As a heartbeat that has nothing new.
        connection.execute("UPDATE jobs SET heartbeat_at = now() WHERE id = %s", [job_id])
        set_state(connection, job_id, "cancelled")
        assert [(event.name, event.job["state"]) for event in client] == [("done", "cancelled")]
    # The connection was not closed: nothing of the stream is left on it.
    assert client.answer.isclosed()


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_of_a_job_that_has_ended_there_is_its_end(
    state: str, web: Web, job_id: UUID, connection: db.Connection
) -> None:
    set_state(connection, job_id, state)
    with EventClient(web, job_id) as client:
        assert [(event.name, event.job) for event in client] == [("done", web.job(str(job_id)))]


def test_a_job_that_is_deleted_ends_the_stream(web: Web, job_id: UUID, connection: db.Connection) -> None:
    with EventClient(web, job_id) as client:
        client.next()
        connection.execute("DELETE FROM jobs WHERE id = %s", [job_id])
        assert list(client) == []


def test_text_of_any_kind_stays_on_its_line(web: Web, job_id: UUID, connection: db.Connection) -> None:
    name = "a\r\nb\n\nevent: done\u2028\x85\x0c\x1e\u00e4\N{GRINNING FACE}.csv"
    connection.execute("UPDATE jobs SET file_name = %s WHERE id = %s", [name, job_id])
    with EventClient(web, job_id) as client:
        assert client.next().job["fileName"] == name


def test_what_is_not_there_and_what_is_not_known_is_refused(web: Web, job_id: UUID) -> None:
    assert web.get(f"/jobs/{uuid7()}/events").json()["code"] == "job_not_found"
    assert web.get("/jobs/1/events").status_code == 404
    refused = web.get(f"/jobs/{job_id}/events?since=1")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert web.post(f"/jobs/{job_id}/events").status_code == 405


def test_the_head_alone_has_no_stream(web: Web, job_id: UUID, connection: db.Connection) -> None:
    for state in ("queued", "cancelled"):
        set_state(connection, job_id, state)
        answer = web.request("HEAD", f"/jobs/{job_id}/events")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream")


def test_over_http_1_0_the_stream_ends_with_the_connection(web: Web, job_id: UUID, connection: db.Connection) -> None:
    with ask_for_events(web, job_id, version="1.0") as line:
        found = bytearray()
        while b"event: progress" not in found:
            found += line.recv(4096)
        set_state(connection, job_id, "cancelled")
        while piece := line.recv(4096):
            found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body.startswith(b"retry: 1000\n\nid: ")
    assert body.count(b"event: done\n") == 1
    assert body.endswith(b"}\n\n")


def test_the_holder_of_a_token_hears_nothing_of_jobs_of_others(
    flask_web: FlaskWeb, job_id: UUID, connection: db.Connection
) -> None:
    own = "UPDATE jobs SET source = 'crm', created_by = 'key#own', state = 'failed' WHERE id = %s"
    connection.execute(own, [job_id])
    others, sent = enqueue(connection), enqueue(connection)
    connection.execute("UPDATE jobs SET created_by = 'key#own' WHERE id = %s", [sent])
    path = f"/jobs/{job_id}/events"
    for before, is_known in ((others, False), (sent, True)):
        connection.execute("UPDATE jobs SET duplicate_of = %s WHERE id = %s", [before, job_id])
        told = flask_web.get(path, headers={"X-Test-Caller": "key#own"}).text
        assert (f'"duplicateOf": "{before}"' in told) is is_known
        assert f'"duplicateOf": "{before}"' in flask_web.get(path, headers={"X-Test-Caller": "key"}).text
    assert flask_web.get(path, headers={"X-Test-Caller": "key#other"}).json()["code"] == "job_not_found"


# Who comes back.


def test_who_comes_back_hears_only_what_is_new_from_whichever_process(
    web: Web, job_id: UUID, connection: db.Connection, start_web: Callable[..., Web]
) -> None:
    with EventClient(web, job_id) as client:
        seen = client.next().id
    with EventClient(start_web(), job_id, {"Last-Event-ID": seen}) as client:
        connection.execute("UPDATE jobs SET bytes_done = 7 WHERE id = %s", [job_id])
        event = client.next()
        assert event.job["bytesDone"] == 7
    with EventClient(web, job_id, {"Last-Event-ID": event.id}) as client:
        set_state(connection, job_id, "cancelled")
        assert [event.name for event in client] == ["done"]
    for other in ("", "x", seen):
        with EventClient(web, job_id, {"Last-Event-ID": other}) as client:
            [done] = client
            assert done.name == "done"


def test_who_has_seen_the_end_is_told_not_to_come_back(web: Web, job_id: UUID, connection: db.Connection) -> None:
    set_state(connection, job_id, "failed")
    with EventClient(web, job_id) as client:
        [done] = client
    # What is noted later of a job is no other end.
    connection.execute("UPDATE jobs SET object_deleted_at = now() WHERE id = %s", [job_id])
    with EventClient(web, job_id, {"Last-Event-ID": done.id}) as client:
        assert (client.status, client.answer.read()) == (204, b"")
    connection.execute("UPDATE jobs SET object_deleted_at = NULL WHERE id = %s", [job_id])
    set_state(connection, job_id, "queued")
    with EventClient(web, job_id, {"Last-Event-ID": done.id}) as client:
        assert client.next().name == "progress"
        set_state(connection, job_id, "failed")
        [again] = client
        assert again.id != done.id


# Who comes too many, leaves, or does not read.


def test_one_too_many_is_refused_and_told_when_to_come_again(web: Web, job_id: UUID, connection: db.Connection) -> None:
    ended = enqueue(connection)
    set_state(connection, ended, "cancelled")
    with all_places(web, job_id):
        refused = web.get(f"/jobs/{job_id}/events")
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_event_streams")
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.headers["Content-Type"] == "application/json"
        # Nobody is waited with, but everybody is answered.
        began = time.monotonic()
        at_once = web.get(f"/jobs/{job_id}", headers={"Prefer": "wait=20"})
        assert (at_once.status_code, at_once.json()["state"]) == (200, "queued")
        assert "Preference-Applied" not in at_once.headers
        assert time.monotonic() - began < 15
        assert "event: done\n" in web.get(f"/jobs/{ended}/events").text
        assert web.post(data=BODY, headers=CSV).status_code == 200
    eventually(lambda: is_free(web, job_id), every_seconds=0.1)


def test_who_leaves_without_a_word_makes_room_within_moments(web: Web, job_id: UUID) -> None:
    with all_places(web, job_id) as clients:
        for client in clients:
            client.next()
        left_at = time.monotonic()
        clients[0].leave()
        eventually(lambda: is_free(web, job_id), every_seconds=0.1)
        assert time.monotonic() - left_at < 10


def test_who_does_not_read_is_let_go_of(web: Web, job_id: UUID, connection: db.Connection) -> None:
    # More than the buffers between server and client hold.
    connection.execute(LARGE, [job_id])
    with ExitStack() as stack:

        def begun() -> bool:
            line = stack.enter_context(ask_for_events(web, job_id))
            return line.recv(12) == b"HTTP/1.1 200"

        for _ in range(PLACES):
            eventually(begun, every_seconds=0.1)
        with all_places(web, enqueue(connection)) as others:
            assert all(client.next().name == "progress" for client in others)


def test_the_end_of_the_process_ends_all_who_wait_and_keeps_nobody(
    start_web: Callable[..., Web], job_id: UUID, connection: db.Connection
) -> None:
    web = start_web(SHUTDOWN_GRACE_SECONDS=50, UPLOAD_STALL_SECONDS=100)
    large = enqueue(connection)
    connection.execute(LARGE, [large])
    with EventClient(web, job_id) as client, ask_for_events(web, large) as silent, ThreadPoolExecutor(1) as beside:
        event = client.next()
        # Until its thread waits for it to read.
        silent.recv(1)
        waiting = beside.submit(web.get, f"/jobs/{job_id}", headers={"Prefer": "wait=25"})
        time.sleep(1)  # Nothing tells that it has come.
        began = time.monotonic()
        web.terminate()
        assert list(client) == []
        answer = waiting.result()
        assert (answer.status_code, answer.json()["state"]) == (200, "queued")
        assert web.process.wait(40) == 0
        assert time.monotonic() - began < 20
    # Elsewhere it goes on.
    with EventClient(start_web(), job_id, {"Last-Event-ID": event.id}) as client:
        set_state(connection, job_id, "cancelled")
        assert [event.name for event in client] == ["done"]


def test_streams_take_no_threads_of_uploads_and_other_requests(start_web: Callable[..., Web], job_id: UUID) -> None:
    web = start_web(WEB_THREADS=4, MAX_UPLOADS=1, MAX_EXPORTS=1, MAX_EVENT_STREAMS=12)
    with ExitStack() as stack:
        for _ in range(12):
            assert stack.enter_context(EventClient(web, job_id)).next().name == "progress"
        assert web.get("/health").status_code == 200
        assert web.get(f"/jobs/{job_id}").status_code == 200
        assert web.get("/jobs").status_code == 200
        assert web.post(data=BODY, headers=CSV).status_code == 200
        assert web.get("/exports").status_code == 200


def test_where_connections_are_few_half_of_them_are_for_others(start_web: Callable[..., Web], job_id: UUID) -> None:
    web = start_web(MAX_CONNECTIONS=16)
    with ExitStack() as stack:
        found = [stack.enter_context(EventClient(web, job_id)).status for _ in range(20)]
        assert found == [200] * 8 + [503] * 12
        assert web.get("/health").status_code == 200


# Prefer: wait.


def waited(web: Web, job_id: UUID | str, prefer: str) -> tuple[requests.Response, float]:
    began = time.monotonic()
    answer = web.get(f"/jobs/{job_id}", headers={"Prefer": prefer})
    assert answer.headers["Vary"] == "Prefer"
    return answer, time.monotonic() - began


def test_the_end_of_a_job_is_waited_for(web: Web, connection: db.Connection) -> None:
    job_id = upload(connection)
    eventually(lambda: is_free(web, job_id), every_seconds=0.1)
    with ThreadPoolExecutor(1) as beside:
        # More than a platform lets pass.
        waiting = beside.submit(waited, web, job_id, "respond-async, wait=100")
        time.sleep(0.5)
        assert not waiting.done()
        ended_at = time.monotonic()
        set_state(connection, job_id, "cancelled")
        answer, _ = waiting.result()
    assert time.monotonic() - ended_at < 15
    assert answer.json()["state"] == "cancelled"
    assert answer.headers["Preference-Applied"] == "wait=25"


def test_the_time_that_a_client_has_is_kept_to(web: Web, job_id: UUID) -> None:
    eventually(lambda: is_free(web, job_id), every_seconds=0.1)
    answer, seconds = waited(web, job_id, "wait=1")
    assert answer.json() == web.job(str(job_id))
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert seconds >= 1


def test_of_a_job_that_has_ended_nothing_is_waited_for(web: Web, job_id: UUID, connection: db.Connection) -> None:
    set_state(connection, job_id, "cancelled")
    answer, _ = waited(web, job_id, "wait=25")
    assert answer.json()["state"] == "cancelled"
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize("prefer", ["wait", "wait=", "wait=x", "wait=0", "wait=-1", "return=minimal", ",;=", "await=9"])
def test_what_is_no_time_to_wait_is_ignored(prefer: str, web: Web, job_id: UUID) -> None:
    answer, _ = waited(web, job_id, prefer)
    assert answer.json()["state"] == "queued"
    assert "Preference-Applied" not in answer.headers


def test_a_job_that_is_deleted_is_not_waited_for(web: Web, job_id: UUID, connection: db.Connection) -> None:
    eventually(lambda: is_free(web, job_id), every_seconds=0.1)
    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(web.get, f"/jobs/{job_id}", headers={"Prefer": "wait=25"})
        time.sleep(0.5)
        connection.execute("DELETE FROM jobs WHERE id = %s", [job_id])
        answer = waiting.result()
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
