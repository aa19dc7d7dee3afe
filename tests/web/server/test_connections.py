"""What clients do to the web service before and after their requests: nothing of it holds up anybody else.

Requests are written by hand. The processes have few threads, so that one that was held would be missed.
"""

import http.client
import json
import resource
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

import psutil
import pytest

from dataflow import db
from dataflow.web.server.pace import SLOW_SECONDS
from tests.support.processes import Web
from tests.support.waiting import eventually

pytestmark = pytest.mark.one_storage

#: Six threads for what is no transfer.
WEB_VARIABLES = {"WEB_THREADS": 25, "HEAD_SECONDS": 1, "UPLOAD_STALL_SECONDS": 2}
HALF = b"GET /jobs HTTP/1.1\r\nHost: x\r\nX-Mo"
WHOLE = b"GET /jobs HTTP/1.1\r\nHost: x\r\n\r\n"
CSV_HEAD = b"POST /import HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nX-Source: crm\r\nContent-Length: 31\r\n\r\n"
CSV = b"name,email\nAnn,ann@example.com\n"
assert len(CSV) == 31


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self) -> Any:
        return json.loads(self.body)["code"]


class Line:
    """One connection."""

    def __init__(self, web: Web, sent: bytes = b"", receive_bytes: int = 0) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(20)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect(("127.0.0.1", web.port))
        self.socket.sendall(sent)

    def answer(self, method: str = "GET") -> Answer:
        found = http.client.HTTPResponse(self.socket, method=method)
        found.begin()
        return Answer(found.status, found.headers, found.read())

    def is_closed(self) -> bool:
        """Whether the server has hung up; what it has sent before is thrown away."""
        self.socket.setblocking(False)
        with suppress(BlockingIOError):
            try:
                while self.socket.recv(1 << 16):
                    pass
            except ConnectionResetError:
                pass
            return True
        return False


Open = Callable[..., Line]


@pytest.fixture
def line() -> Iterator[Open]:
    """Opens connections that are closed behind the test."""
    with ExitStack() as stack:

        def opened(*arguments: Any, **named: Any) -> Line:
            found = Line(*arguments, **named)
            stack.callback(found.socket.close)
            return found

        yield opened


def seconds_of(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def check_health(web: Web) -> None:
    assert seconds_of(lambda: web.get("/health", timeout=5).raise_for_status()) < 1


def test_half_heads_and_silent_connections_hold_up_nobody(web: Web, line: Open) -> None:
    half = [line(web, HALF) for _ in range(200)]
    for _ in range(50):
        line(web)
    check_health(web)
    assert web.post(data=CSV, headers={"Content-Type": "text/csv", "X-Source": "crm"}, timeout=5).status_code == 200
    eventually(lambda: all(each.is_closed() for each in half), seconds=10)  # HEAD_SECONDS


def test_a_head_may_come_in_any_pieces(web: Web, line: Open) -> None:
    slow = line(web)
    slow.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in WHOLE:
        slow.socket.sendall(bytes([byte]))
    assert slow.answer().status == 200


def test_a_head_that_goes_on_and_on_is_cut_off_all_the_same(web: Web, line: Open) -> None:
    slow = line(web, HALF)
    began = time.monotonic()
    while not slow.is_closed():
        assert time.monotonic() - began < 10
        with suppress(OSError):
            slow.socket.send(b"r")
        time.sleep(0.05)
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("together", [True, False], ids=["in one piece", "after the answer"])
def test_a_half_head_behind_another_request_is_cut_off(together: bool, web: Web, line: Open) -> None:
    found = line(web, WHOLE + HALF if together else WHOLE)
    quiet = line(web, WHOLE)
    assert (found.answer().status, quiet.answer().status) == (200, 200)
    if not together:
        found.socket.sendall(HALF)
    eventually(found.is_closed, seconds=10)
    assert not quiet.is_closed()  # kept alive for much longer


def test_requests_sent_in_one_piece_are_answered_one_after_the_other(web: Web, line: Open) -> None:
    found = line(web, WHOLE + WHOLE + WHOLE[:20])
    stream = found.socket.makefile("rb")
    for _ in range(2):
        assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
        headers = http.client.parse_headers(stream)
        stream.read(int(headers["Content-Length"]))
    found.socket.sendall(WHOLE[20:])
    assert stream.readline() == b"HTTP/1.1 200 OK\r\n"


def test_too_many_connections_close_half_heads_first_then_silent_ones_then_those_kept_alive(
    start_web: Callable[..., Web], line: Open
) -> None:
    web = start_web(MAX_CONNECTIONS=16, HEAD_SECONDS=60)
    kept = [line(web, WHOLE) for _ in range(6)]
    assert [each.answer().status for each in kept] == [200] * 6
    silent = [line(web) for _ in range(4)]
    half = [line(web, HALF) for _ in range(6)]
    assert not any(each.is_closed() for each in (*half, *silent, *kept))
    # Once this is answered, what was sent before it has been read.
    kept[-1].socket.settimeout(20)
    kept[-1].socket.sendall(WHOLE)
    assert kept[-1].answer().status == 200
    newer: list[Line] = []
    for older, others in ((half, (*silent, *kept)), (silent, kept)):
        for place, oldest in enumerate(older):
            newer.append(line(web))
            eventually(oldest.is_closed, seconds=5)
            assert not any(each.is_closed() for each in (*older[place + 1 :], *others))
    # Those are the silent ones now, and give way to connections that are used.
    busy = [line(web, WHOLE) for _ in range(10)]
    assert [each.answer().status for each in busy] == [200] * 10
    eventually(lambda: all(each.is_closed() for each in newer), seconds=5)
    assert line(web, WHOLE).answer().status == 200
    # One of the first five, which were answered at the same time; the last was used again.
    eventually(lambda: any(each.is_closed() for each in kept), seconds=5)
    assert (sum(each.is_closed() for each in kept), kept[-1].is_closed()) == (1, False)


def test_with_only_working_connections_newcomers_wait_for_one_of_them_to_end(
    start_web: Callable[..., Web], connection: db.Connection, line: Open
) -> None:
    web = start_web(MAX_CONNECTIONS=16, WEB_THREADS=64, MAX_UPLOADS=20, UPLOAD_STALL_SECONDS=20)
    uploads = [line(web, CSV_HEAD) for _ in range(16)]
    eventually(lambda: len(connection.execute("SELECT FROM jobs WHERE state = 'uploading'").fetchall()) == 16)
    newcomer = line(web, WHOLE)
    assert not select.select([newcomer.socket], [], [], 0.3)[0]
    uploads[0].socket.sendall(CSV)
    assert uploads[0].answer("POST").status == 200
    assert newcomer.answer().status == 200


def test_when_told_to_stop_it_waits_for_no_idle_connection_but_for_a_request(
    start_web: Callable[..., Web], connection: db.Connection, line: Open
) -> None:
    web = start_web(HEAD_SECONDS=60, UPLOAD_STALL_SECONDS=60)
    idle = [line(web), line(web, HALF), line(web, WHOLE)]
    assert idle[2].answer().status == 200
    upload = line(web, CSV_HEAD)
    eventually(lambda: connection.execute("SELECT FROM jobs WHERE state = 'uploading'").fetchall())
    web.terminate()
    for each in idle:
        eventually(each.is_closed, seconds=2)
    upload.socket.sendall(CSV)
    answer = upload.answer("POST")
    assert (answer.status, web.process.wait(10)) == (200, 0)


def test_without_descriptors_left_it_goes_on(start_web: Callable[..., Web], line: Open) -> None:
    web = start_web()
    [process] = psutil.Process(web.process.pid).children()
    limit = process.num_fds() + 60
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, limit))
    for _ in range(100):
        line(web, HALF)
    check_health(web)
    assert [each.pid for each in psutil.Process(web.process.pid).children()] == [process.pid]


def test_clients_that_never_hang_up_hold_up_nobody(web: Web, line: Open) -> None:
    closing = [line(web, WHOLE.replace(b"Host", b"Connection: close\r\nHost")) for _ in range(100)]
    check_health(web)
    assert [each.answer().headers["Connection"] for each in closing] == ["close"] * 100


@pytest.fixture
def large(connection: db.Connection) -> bytes:
    """A request whose answer no socket buffers hold."""
    connection.execute(
        "INSERT INTO jobs (id, kind, state, finished_at, source, file_name)"
        " SELECT gen_random_uuid(), 'import', 'cancelled', now(), 'crm', repeat('x', 5000)"
        " FROM generate_series(1, 1000)"
    )
    return WHOLE.replace(b"/jobs", b"/jobs?limit=1000")


def test_clients_that_take_no_answer_hold_up_nobody_and_are_cut_off(web: Web, large: bytes, line: Open) -> None:
    lazy = [line(web, large, receive_bytes=4096) for _ in range(12)]
    for each in lazy:
        assert each.socket.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
    check_health(web)
    ports = {each.socket.getsockname()[1] for each in lazy}
    [process] = psutil.Process(web.process.pid).children()
    eventually(lambda: not any(known.raddr and known.raddr.port in ports for known in process.net_connections("tcp")))
    for each in lazy:
        taken = 0
        with suppress(ConnectionResetError):
            while piece := each.socket.recv(1 << 20):
                taken += len(piece)
        assert taken < 5_000_000


def test_a_slow_client_gets_all_of_a_large_answer_and_may_ask_again(web: Web, large: bytes, line: Open) -> None:
    slow = line(web, large + WHOLE, receive_bytes=64 * 1024)
    stream = slow.socket.makefile("rb")
    assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
    size = int(http.client.parse_headers(stream)["Content-Length"])
    body = b""
    while len(body) < size:
        body += stream.read(min(500_000, size - len(body)))
        time.sleep(0.1)
    assert len(json.loads(body)["jobs"]) == 1000
    assert stream.readline() == b"HTTP/1.1 200 OK\r\n"


UNREAD = b"POST /jobs/%s/cancel HTTP/1.1\r\nHost: x\r\n" % (b"0" * 32)


@pytest.mark.parametrize("declared", [b"Content-Length: 50", b"Transfer-Encoding: chunked"], ids=["length", "chunked"])
def test_a_body_that_nobody_reads_is_not_waited_for(declared: bytes, web: Web, line: Open) -> None:
    lines = [line(web, UNREAD + declared + b"\r\n\r\n") for _ in range(30)]
    assert seconds_of(lambda: [each.answer("POST") for each in lines]) < 4
    check_health(web)


def test_a_connection_is_kept_behind_a_short_body_that_nobody_reads(web: Web, line: Open) -> None:
    found = line(web, UNREAD + b"Content-Length: 5\r\n\r\nhello")
    assert (found.answer("POST").status, found.socket.send(WHOLE), found.answer().status) == (404, len(WHOLE), 200)
    half = line(web, UNREAD + b"Content-Length: 5\r\n\r\nhell")
    assert half.answer("POST").headers["Connection"] == "keep-alive"
    # The rest, when it comes, is no request.
    assert (half.socket.send(b"o" + WHOLE), half.answer().status) == (1 + len(WHOLE), 200)
    long = line(web, UNREAD + b"Content-Length: 17000\r\n\r\nhell")
    assert long.answer("POST").headers["Connection"] == "close"


CODES = {400: "bad_request", 414: "uri_too_long", 431: "request_header_fields_too_large"}
#: As gunicorn refuses them, and at once.
ODD = {
    "no HTTP": (b"EHLO example.com\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n", 400),
    "a line without CR": (b"GET / HTTP/1.1\nHost: x\n", 400),
    "a field without CR": (b"GET /jobs HTTP/1.1\r\nHost: x\nX-A: b\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a long line": (b"GET /" + b"x" * 8200, 414),
    "a long field": (b"GET / HTTP/1.1\r\nX: " + b"x" * 8200 + b"\r\n\r\n", 431),
    "many fields": (b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 101 + b"\r\n", 431),
    "fields that are dropped": (b"GET / HTTP/1.1\r\n" + b"_:\r\n" * 15_000 + b"\r\n", 431),
    "a head without end": (b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 70_000, 431),
    "two lengths": (b"POST /import HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "length and chunks": (
        b"POST /import HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + WHOLE,
        400,
    ),
    "a space before the colon": (b"GET /jobs HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
    "a folded field": (b"GET /jobs HTTP/1.1\r\nX-A: b\r\n c\r\n\r\n", 400),
}


@pytest.mark.parametrize("oddity", ODD)
def test_what_is_no_sound_request_is_refused_at_once_and_hung_up_on(oddity: str, web: Web, line: Open) -> None:
    sent, status = ODD[oddity]
    found = line(web, sent)
    answer = found.answer()
    assert (answer.status, answer.headers["Connection"]) == (status, "close")
    assert (answer.headers["Content-Type"], answer.code) == ("application/json", CODES[status])
    assert json.loads(answer.body)["status"] == status
    assert answer.body.count(b"HTTP/") <= 1
    found.socket.shutdown(socket.SHUT_WR)
    eventually(found.is_closed, seconds=5)


def test_trailers_are_bounded(web: Web, line: Open) -> None:
    head = CSV_HEAD.replace(b"Content-Length: 31", b"Transfer-Encoding: chunked")
    found = line(web, head + b"1f\r\n" + CSV + b"\r\n0\r\n" + b"_:\r\n" * 10_000)
    assert found.answer("POST").status == 400
    check_health(web)


def test_a_client_that_waits_for_100_continue_gets_it(web: Web, line: Open) -> None:
    found = line(web, CSV_HEAD.replace(b"Host", b"Expect: 100-continue\r\nHost"))
    assert found.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    found.socket.sendall(CSV)
    assert found.answer("POST").status == 200


def test_uploads_without_a_thread_are_put_off_while_other_requests_are_served(
    start_web: Callable[..., Web], line: Open
) -> None:
    web = start_web(WEB_THREADS=8, MAX_UPLOADS=2, UPLOAD_STALL_SECONDS=20)
    uploads = [line(web, CSV_HEAD) for _ in range(40)]
    waiting = select.poll()
    for each in uploads:
        waiting.register(each.socket, select.POLLIN)
    while len(waiting.poll(0)) < 34:  # six have a thread
        check_health(web)
    put_off = {number for number, _ in waiting.poll(0)}
    answers = [each.answer("POST") for each in uploads if each.socket.fileno() in put_off]
    assert {(answer.status, answer.code) for answer in answers} == {(503, "too_many_uploads")}
    assert all(int(answer.headers["Retry-After"]) > 0 and answer.headers["X-Request-Id"] for answer in answers)


def test_a_body_that_has_come_finds_a_thread_while_slow_ones_come_again_and_again(
    start_web: Callable[..., Web], line: Open
) -> None:
    web = start_web(WEB_THREADS=8, MAX_UPLOADS=2, UPLOAD_STALL_SECONDS=20)
    slow = [line(web, CSV_HEAD) for _ in range(6)]
    time.sleep(SLOW_SECONDS)  # promised to each
    slow += [line(web, CSV_HEAD) for _ in range(40)]
    headers = {"Content-Type": "text/csv", "X-Source": "crm"}
    assert web.post(data=CSV, headers=headers, timeout=10).status_code == 200
    displaced = [each.answer("POST").code for each in slow[:6] if select.select([each.socket], [], [], 0)[0]]
    assert displaced == ["upload_displaced"]


def test_who_waits_for_a_thread_is_asked_for_the_body_that_shows_how_fast_it_is(
    start_web: Callable[..., Web], line: Open
) -> None:
    web = start_web(WEB_THREADS=8, MAX_UPLOADS=2, UPLOAD_STALL_SECONDS=20)
    for _ in range(6):
        line(web, CSV_HEAD)
    found = line(web, CSV_HEAD.replace(b"Host", b"Expect: 100-continue\r\nHost"))
    assert found.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert found.answer("POST").code == "too_many_uploads"


def test_two_processes_share_uploads_that_come_at_once(
    start_web: Callable[..., Web], connection: db.Connection, line: Open
) -> None:
    web = start_web(WEB_CONCURRENCY=2, MAX_UPLOADS=8, WEB_THREADS=64, UPLOAD_STALL_SECONDS=20)

    def have_served() -> bool:
        children = psutil.Process(web.process.pid).children()
        return web.get("/health").ok and [child.num_threads() > 1 for child in children] == [True, True]

    eventually(have_served)
    uploading = b"SELECT FROM jobs WHERE state = 'uploading'"
    for _ in range(2):
        uploads = [line(web) for _ in range(12)]
        for each in uploads:
            each.socket.sendall(CSV_HEAD)
        eventually(lambda: len(connection.execute(uploading).fetchall()) == 12, seconds=5)
        for each in uploads:
            each.socket.sendall(CSV)
        assert [each.answer("POST").status for each in uploads] == [200] * 12
