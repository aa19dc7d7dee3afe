"""Slow clients, and clients that leave while we are at work for them: who is cut, who gives way, who is left alone.

One web process serves most of the module; it has room for two bodies of more than a chunk.
"""

import gzip
import random
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dataflow import db
from dataflow.web.server.client_socket import has_left
from tests.doubles.storage.process import StorageDouble
from tests.support.processes import Web
from tests.support.raw_http import Raw, wait_for_uploads
from tests.support.waiting import eventually

KIB, MIB = 1024, 1024 * 1024
JSON, CSV = "application/json", "text/csv"
GOOD_CSV = b"name,email\nAnn,ann@example.com\n"
CHUNKED = {"Transfer-Encoding": "chunked"}
#: More than a chunk.
LARGE = GOOD_CSV + b"\n" * 7 * MIB
GREAT = 2  #: bodies of more than a chunk at a time; one more place is for others
WEB_VARIABLES = {"MAX_UPLOADS": GREAT + 1}


@pytest.fixture
def left_behind(connection: db.Connection, stored_files: Callable[[], list[Path]]) -> Callable[[], list[Any]]:
    """Rows of jobs, and files of the object storage."""
    return lambda: [*connection.execute("SELECT id::text, state FROM jobs").fetchall(), *stored_files()]


#: How a body begins, and what follows five times a second for ever: never 500 bytes of it.
TRICKLES = {
    "bytes": ({"Content-Length": MIB}, GOOD_CSV, b"\n"),
    "chunks of a byte": (CHUNKED, b"", b"1\r\n\n\r\n"),
    "extensions of chunks": (CHUNKED, b"", b'1;a="%s"\r\n\n\r\n' % (b"x" * 10)),
    "the head of one chunk": (CHUNKED, b"1;a=", b"x" * 20),
    "trailers": (CHUNKED, b"0\r\n", b"X-A: %s\r\n" % (b"x" * 10)),
}


def test_a_body_that_trickles_is_cut_whatever_its_bytes_are_for(
    start_web: Callable[..., Web], left_behind: Callable[[], list[Any]]
) -> None:
    web = start_web(UPLOAD_STALL_SECONDS=2)
    began = time.monotonic()
    with ExitStack() as stack:
        open_ones = {name: stack.enter_context(Raw(web, CSV, head)) for name, (head, *_) in TRICKLES.items()}
        for name, raw in open_ones.items():
            raw.send(TRICKLES[name][1])
        while waiting := [name for name, raw in open_ones.items() if not raw.is_answered()]:
            assert time.monotonic() - began < 10, waiting
            for name in waiting:
                open_ones[name].send(TRICKLES[name][2])
            time.sleep(0.2)
        assert time.monotonic() - began >= 2
        answers = {name: raw.answer() for name, raw in open_ones.items()}
    assert {(answer.status, answer.code) for answer in answers.values()} == {(408, "upload_stalled")}
    assert "Fewer than 500 (UPLOAD_MIN_BYTES_SECOND) over 2 s" in answers["bytes"].body["error"]
    eventually(lambda: not left_behind())


def test_slow_uploads_live_while_there_is_room_and_the_slowest_gives_way_when_there_is_none(
    web: Web, connection: db.Connection
) -> None:
    head = {"Content-Length": len(LARGE)}
    with Raw(web, CSV, head) as slow, Raw(web, CSV, head) as slowest, ThreadPoolExecutor(1) as other:
        sent = 0
        began, answer = time.monotonic(), None
        while not slowest.is_answered():
            assert time.monotonic() - began < 20
            slow.send(LARGE[sent : (sent := sent + 3 * 100)])
            slowest.send(b"\n" * 100)
            if time.monotonic() - began > 6 and answer is None:
                wait_for_uploads(connection, 2)
                answer = other.submit(web.post, data=LARGE, headers={"Content-Type": CSV, "X-Source": "crm"})
            time.sleep(0.1)
        assert answer is not None, "it was cut before anybody needed its place"
        assert answer.result().status_code == 200
        cut = slowest.answer()
        assert (cut.status, cut.code) == (408, "upload_displaced")
        assert int(cut.headers["Retry-After"]) > 0
        slow.send(LARGE[sent:])
        assert slow.answer().status == 200


def test_a_body_of_undeclared_length_takes_a_place_when_it_shows_to_be_large(
    web: Web, connection: db.Connection, stored_files: Callable[[], list[Path]]
) -> None:
    with ExitStack() as stack:
        for _ in range(GREAT):
            stack.enter_context(Raw(web, CSV, CHUNKED)).send_chunk(LARGE[: 100 * KIB])
        eventually(lambda: [file.stat().st_size > 64 * KIB for file in stored_files()] == [True] * GREAT)
        small = [stack.enter_context(Raw(web, CSV, CHUNKED)) for _ in range(2)]
        for raw in small:
            raw.send_chunk(LARGE[: 50 * KIB])
        wait_for_uploads(connection, GREAT + 2)
        with Raw(web, CSV, CHUNKED) as one_more:
            one_more.send_chunk(LARGE[: 100 * KIB])
            answer = one_more.answer()
        assert (answer.status, answer.code) == (503, "too_many_uploads")
        wait_for_uploads(connection, GREAT + 2)
        for raw in small:
            raw.send(b"0\r\n\r\n")
            assert raw.answer().status == 200


def test_a_storage_that_stalls_is_not_charged_to_the_client(
    start_web: Callable[..., Web], double: StorageDouble
) -> None:
    variables = {"SUPABASE_URL": double.project_url, "SUPABASE_SERVICE_ROLE_KEY": double.key()}
    web = start_web(UPLOAD_STALL_SECONDS=1, **variables)
    double.fault("stall", method="PATCH")
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(web.post, data=LARGE * 3, headers={"Content-Type": CSV, "X-Source": "crm"})
        eventually(lambda: "PATCH" in [request["method"] for request in double.journal()])
        time.sleep(2)  # twice what a client would be granted
        assert not answer.done()
        double.release()
        assert answer.result().status_code == 200


@pytest.fixture(scope="module")
def expanding() -> bytes:
    """A MB that takes ten or twenty seconds to look at: rows with large members that nobody wants."""
    noise, ignored = random.Random(1), b"0," * 30_000
    row = b'{"name":"Ann","email":"ann@example.com","ignored":[%s0],"noise":"%s"}'
    rows = b",".join(row % (ignored, noise.randbytes(600).hex().encode()) for _ in range(1200))
    return gzip.compress(b'{"source":"crm","data":[%s]}' % rows, compresslevel=1)


@pytest.mark.parametrize("leave", [Raw.vanish, Raw.end], ids=["reset", "closed"])
def test_a_body_is_not_looked_at_for_a_client_that_has_left(
    leave: Callable[[Raw], None],
    expanding: bytes,
    web: Web,
    connection: db.Connection,
    left_behind: Callable[[], list[Any]],
) -> None:
    with Raw(web, JSON, {"Content-Encoding": "gzip", "Content-Length": len(expanding)}) as raw:
        raw.send(expanding)
        wait_for_uploads(connection, 1)
        leave(raw)
        eventually(lambda: not left_behind(), seconds=5)
        if leave is Raw.end:
            answer = raw.answer()
            assert (answer.status, answer.code) == (400, "incomplete_body")
            assert "has left" in answer.body["error"]


def test_a_body_whose_job_is_cancelled_is_not_looked_at_any_further(
    expanding: bytes, web: Web, connection: db.Connection
) -> None:
    with Raw(web, JSON, {"Content-Encoding": "gzip", "Content-Length": len(expanding)}) as raw:
        raw.send(expanding)
        wait_for_uploads(connection, 1)
        connection.execute("UPDATE jobs SET state = 'cancelled'")
        raw.socket.settimeout(5)
        answer = raw.answer()
    assert (answer.status, answer.code) == (409, "upload_cancelled")


def test_a_small_body_that_never_comes_to_its_end_holds_its_thread_for_moments_after_its_refusal(
    start_web: Callable[..., Web],
) -> None:
    web = start_web(WEB_THREADS=13, HEAD_SECONDS=2)
    with ExitStack() as stack:
        silent = [stack.enter_context(Raw(web, "text/xml", {"Content-Length": 100})) for _ in range(11)]
        assert [raw.answer().status for raw in silent] == [415] * 11
        eventually(lambda: all(raw.socket.recv(1) == b"" for raw in silent), seconds=10)
        assert web.get("/health", timeout=5).status_code == 200


def test_unread_bytes_do_not_hide_that_a_client_has_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        line, _ = server.accept()
        with line:
            client.sendall(b"x")
            eventually(lambda: line.recv(1, socket.MSG_PEEK))
            assert not has_left(line)
            client.shutdown(socket.SHUT_WR)
            eventually(lambda: has_left(line))
            assert line.recv(2) == b"x"
