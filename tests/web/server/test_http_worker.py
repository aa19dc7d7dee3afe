"""The parts of the worker class, by themselves: heads, sockets, places and the queue; and what it needs of gunicorn."""

import inspect
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from gunicorn.config import Config as GunicornConfig
from gunicorn.http import get_parser
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.wsgi import Response
from gunicorn.workers.gthread import TConn, ThreadWorker
from hypothesis import given
from hypothesis import strategies as st

from dataflow.errors import ConfigError
from dataflow.web.server.answer_socket import PIECE_BYTES, AnswerSocket
from dataflow.web.server.connection import BEGUN_BYTES, Connection
from dataflow.web.server.http_worker import HttpWorker
from dataflow.web.server.request_head import MAX_HEAD_BYTES, ROUTES, Kind, RequestHead
from dataflow.web.server.shared_places import MAX_PROCESSES, SILENT_SECONDS, SharedPlaces, free_number
from dataflow.web.server.transfer_queue import WAIT_SECONDS, TransferQueue

pytestmark = pytest.mark.unit

HEAD = b"POST /import?source=crm HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"


def test_the_insides_of_gunicorn_that_are_relied_on_are_there() -> None:
    overridden = {name for name in vars(HttpWorker) if not name.startswith("__") and hasattr(ThreadWorker, name)}
    assert overridden >= {
        *("check_config", "init_process", "get_thread_pool", "load_wsgi", "notify", "set_accept_enabled", "accept"),
        *("enqueue_req", "handle_request", "_keepalive_after", "finish_request", "wait_for_and_dispatch_events"),
        *("murder_pending", "murder_keepalived", "_cap_keepalive", "handle_error"),
    }
    for name in overridden - {"check_config"}:
        ours, theirs = (inspect.signature(getattr(kind, name)).parameters for kind in (HttpWorker, ThreadWorker))
        assert len(ours) == len(theirs), name
    loop, serve = inspect.getsource(ThreadWorker.run), inspect.getsource(ThreadWorker.handle)
    assert "self.nr_conns < self.worker_connections" in loop
    for called in ("set_accept_enabled", "wait_for_and_dispatch_events", "murder_keepalived", "murder_pending"):
        assert f"self.{called}(" in loop
    assert "self._cap_keepalive(" in loop
    for called in ("conn.sock.setblocking(True)", "conn.init()", "next(conn.parser)", "self._keepalive_after("):
        assert called in serve
    assert "resp.force_close()" in inspect.getsource(ThreadWorker.handle_request)


def test_a_connection_of_gunicorn_is_what_it_is_taken_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = TConn(GunicornConfig(), ours, ("127.0.0.1", 1), ("127.0.0.1", 2))
        connection.init()
        assert connection.initialized
        unreader = connection.parser.unreader
        unreader.unread(HEAD.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n")
        reader = next(connection.parser).body.reader
        assert isinstance(reader, ChunkedReader)
        assert reader.parser is not None
        assert reader.limit_trailer_section > 0
        assert connection.parser.mesg.body.read() == b"hello"
        assert reader.parser is None
        unreader.unread(HEAD + b"hel")
        message = next(connection.parser)
        length_reader = message.body.reader
        assert isinstance(length_reader, LengthReader)
        assert (length_reader.length, unreader.buf.getvalue(), unreader.take_buffered()) == (5, b"hel", b"hel")
        assert not message.should_close()
        message.force_close()
        assert message.should_close()
    assert "self.req.should_close()" in inspect.getsource(Response.should_close)


@pytest.mark.parametrize(
    ("name", "value"), [("certfile", __file__), ("http_protocols", "h1,h2"), ("proxy_protocol", "v1")]
)
def test_it_refuses_what_would_need_a_thread_before_there_is_a_request(name: str, value: str) -> None:
    config = GunicornConfig()
    HttpWorker.check_config(config, None)
    config.set(name, value)
    with pytest.raises(ConfigError):
        HttpWorker.check_config(config, None)


def head() -> RequestHead:
    return RequestHead(max_line_bytes=8190, max_fields=100)


def feed(sent: bytes, *sizes: int) -> int | None:
    """How many bytes it takes until no more have to come; None when more have to."""
    found, fed = head(), 0
    for size in (*sizes, len(sent)):
        piece = sent[fed : fed + size]
        fed += len(piece)
        if piece and found.feed(piece):
            return fed
    return None


@given(st.lists(st.integers(1, 40)), st.sampled_from([b"", b"\r\n"]))
def test_a_head_ends_where_it_ends_in_whatever_pieces_it_comes(sizes: list[int], before: bytes) -> None:
    sent = before + HEAD
    assert feed(sent[:-1], *sizes) is None
    assert feed(sent, *sizes) == len(sent)


@given(
    st.lists(
        st.sampled_from(
            [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"GET / HTTP/1.1", b"A: b", b" ", b"x", b"PRI * HTTP/2.0", b"\0"]
        )
    ),
    st.lists(st.integers(1, 20)),
)
def test_gunicorn_needs_no_more_for_an_answer_once_the_head_says_so(parts: list[bytes], sizes: list[int]) -> None:
    sent = b"".join(parts)
    if (enough := feed(sent, *sizes)) is None:
        return
    parser = get_parser(GunicornConfig(), Endless(sent[:enough]), ("127.0.0.1", 1))
    try:
        next(parser)
    except WouldWaitError:
        pytest.fail(f"gunicorn waits for more than {sent[:enough]!r}")
    except Exception:  # noqa: BLE001 - each of them is an answer
        return


class WouldWaitError(BaseException):
    pass


class Endless:
    """A socket on which nothing follows."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent

    def recv(self, _: int) -> bytes:
        if not self._sent:
            raise WouldWaitError
        sent, self._sent = self._sent, b""
        return sent


def test_a_head_is_too_large_by_bytes_or_lines() -> None:
    for begin, rest in ((b"GET / HTTP/1.1\r\nX: ", b"x" * MAX_HEAD_BYTES), (b"GET / HTTP/1.1\r\n", b"A: b\r\n" * 103)):
        found = head()
        assert not found.feed(begin)
        assert found.feed(rest)
        assert found.is_too_large
    found = head()
    assert found.feed(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100 + b"\r\n" + b"\r\n" * 1000)
    assert not found.is_too_large  # what follows it is no part of it


def test_a_byte_at_a_time_costs_no_more_than_the_bytes() -> None:
    def seconds_for(size: int) -> float:
        # Of this thread alone: others may have the processor for longer than all of it takes.
        found, began = head(), time.thread_time()
        found.feed(b"GET / HTTP/1.1\r\n")
        for _ in range(size):
            found.feed(b"x")
        return time.thread_time() - began

    short, long = (min(seconds_for(size) for _ in range(5)) for size in (5_000, 40_000))
    assert long < 40 * short  # 64 times and more were it the square


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("POST /import", Kind.TRANSFER),
        ("POST /v1/import?source=crm", Kind.TRANSFER),
        ("POST /import/preview", Kind.TRANSFER),
        ("POST http://example.com/v1/import", Kind.TRANSFER),
        ("POST /imp%6Frt", Kind.TRANSFER),
        ("POST /%76%31/import#part", Kind.TRANSFER),
        ("POST /prefix/import", Kind.TRANSFER),
        ("GET /jobs/01a1f9f7-5b1d-7c7e-8f3b-6f0f2f3b8a51/rejects?format=csv", Kind.TRANSFER),
        ("HEAD /v1/jobs/1/rejects", Kind.TRANSFER),
        ("GET /jobs/01a1f9f7-5b1d-7c7e-8f3b-6f0f2f3b8a51/events?token=x", Kind.STREAM),
        ("HEAD /v1/jobs/1/events", Kind.ORDINARY),
        ("GET /health", Kind.PROBE),
        ("GET /v1/jobs?limit=5", Kind.LIST),
        ("GET /contacts?source=crm", Kind.LIST),
        ("DELETE /v1/contacts?email=ann@example.com", Kind.LIST),
        ("POST /contacts", Kind.ORDINARY),
        ("GET /import", Kind.ORDINARY),
        ("POST /imports", Kind.ORDINARY),
        ("GET /jobs/1", Kind.ORDINARY),
        ("POST /jobs/1/cancel", Kind.ORDINARY),
        ("GET /health?x=/jobs/1/rejects", Kind.PROBE),
        ("GET //[", Kind.ORDINARY),
    ],
)
def test_requests_are_told_apart_as_the_application_will_see_their_paths(line: str, expected: Kind) -> None:
    for before in (b"", b"\r\n"):
        found = head()
        assert found.feed(before + f"{line} HTTP/1.1\r\n\r\n".encode())
        assert found.kind() is expected


def test_the_kinds_are_those_of_routes_of_the_application() -> None:
    from dataflow.config import Config
    from dataflow.web.app import create_app

    routes = create_app(Config.from_env({})).url_map.bind("x")
    for kind, methods, path in ROUTES:
        # A POST to an upload has another method by X-HTTP-Method-Override.
        overridden = {"POST"} if path.startswith("/uploads/") else set()
        for method in set(methods.split("|")) - overridden:
            for prefix in ("",) if kind is Kind.PROBE else ("", "/v1"):
                assert routes.match(prefix + path.replace("[^/]+", "01a1f9f7-5b1d-7c7e-8f3b-6f0f2f3b8a51"), method)


@pytest.fixture
def pair() -> Iterator[tuple[AnswerSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with AnswerSocket(ours, stall_seconds=0.5) as answering, theirs:
        theirs.settimeout(10)
        yield answering, theirs


def test_what_a_client_does_not_take_is_kept_without_waiting_and_sent_in_order(
    pair: tuple[AnswerSocket, socket.socket],
) -> None:
    ours, theirs = pair
    ours.setblocking(True)
    pieces = [bytes([number]) * 300_000 for number in range(10)]
    for piece in pieces:
        ours.sendall(piece)  # would raise after half a second of waiting
    assert ours.unsent_bytes > 0
    taken = bytearray()
    while len(taken) < 3_000_000:
        taken += theirs.recv(1 << 20)
        ours.send_unsent()
    assert bytes(taken) == b"".join(pieces)
    assert ours.unsent_bytes == 0


def test_a_transfer_waits_for_each_piece_but_for_none_too_long(pair: tuple[AnswerSocket, socket.socket]) -> None:
    ours, theirs = pair
    ours.defers = False
    ours.setblocking(True)
    began = time.monotonic()
    with pytest.raises(BrokenPipeError, match=r"took nothing for 0\.5 s"):
        ours.sendall(bytes(50 * PIECE_BYTES))
    assert 0.5 <= time.monotonic() - began < 5
    assert ours.gettimeout() == 0.5
    with pytest.raises(TimeoutError):
        ours.recv(1)
    theirs.close()
    with pytest.raises(BrokenPipeError):
        ours.sendall(b"x")


def test_the_process_with_the_most_places_accepts() -> None:
    places = SharedPlaces()
    assert places.is_turn_of(0, 8, now=100.0)
    assert places.is_turn_of(0, 0, now=100.0)
    places.publish(0, 8, now=100.0)
    places.publish(1, 5, now=100.0)
    assert places.is_turn_of(0, 8, now=100.0)
    assert not places.is_turn_of(1, 5, now=100.0)
    assert places.is_turn_of(1, 5, now=100.0 + SILENT_SECONDS)
    places.publish(0, 0, now=101.0)
    assert places.is_turn_of(1, 0, now=101.0)  # all are full
    places.publish(0, 1, now=101.0)
    assert not places.is_turn_of(1, 0, now=101.0)


def test_each_process_has_a_number_of_its_own() -> None:
    assert [free_number([]), free_number([0, 1, 3]), free_number(range(MAX_PROCESSES))] == [0, 2, MAX_PROCESSES - 1]


class Room:
    """Transfers of which `cuttable` may be cut."""

    def __init__(self, cuttable: int) -> None:
        self.cuttable = cuttable

    def make_room(self) -> bool:
        self.cuttable -= 1
        return self.cuttable >= 0

    def free_places(self) -> int:
        return 5


class Uploading:
    """A connection whose body has come, or not yet."""

    def __init__(self, has_come: bool = True) -> None:
        self.has_come = has_come
        self.asked = 0

    def has_body_come(self) -> bool:
        return self.has_come

    def ask_for_body(self) -> None:
        self.asked += 1


class Queue(NamedTuple):
    queue: TransferQueue
    started: list[Any]
    put_off: list[Any]

    def add(self, *added: Any, now: float = 0.0) -> None:
        for each in added:
            self.queue.add(each, now)


def queue_of(threads: int, room: Room) -> Queue:
    started: list[Any] = []
    put_off: list[Any] = []
    return Queue(TransferQueue(threads, room, started.append, put_off.append), started, put_off)


def test_who_finds_no_thread_waits_a_moment_while_room_is_made_once_for_each() -> None:
    room = Room(cuttable=5)
    queue, started, put_off = (found := queue_of(2, room))
    assert queue.free_places(most=8) == 5
    a, b, c, d, e = (Uploading() for _ in range(5))
    found.add(a, b, c, d, e)
    assert (started, put_off, room.cuttable) == ([a, b], [], 2)
    assert queue.free_places(most=8) == 3
    assert [each.asked for each in (a, b, c, d, e)] == [0, 0, 1, 1, 1]
    queue.look_up(now=0.1)
    assert room.cuttable == 2
    queue.end_one()
    assert started == [a, b, c]
    queue.look_up(now=WAIT_SECONDS)
    assert put_off == [d, e]
    queue.end_one()
    queue.end_one()
    found.add(a, now=9.0)
    assert (started[-1], queue.free_places(most=8)) == (a, 5)


def test_whose_body_has_come_goes_first_and_only_for_it_room_is_made() -> None:
    room = Room(cuttable=5)
    queue, started, put_off = (found := queue_of(1, room))
    holder, slow, slower, fast = Uploading(), Uploading(has_come=False), Uploading(has_come=False), Uploading()
    fast.has_come = False
    found.add(holder, slow, slower, fast)
    assert room.cuttable == 5
    fast.has_come = True
    queue.look_up(now=0.25)
    assert room.cuttable == 4
    for expected in (fast, slow, slower):
        queue.end_one()
        assert started[-1] is expected
    assert not put_off


def test_room_is_looked_for_until_there_is_some() -> None:
    room = Room(cuttable=0)
    found = queue_of(1, room)
    found.add(Uploading(), Uploading())
    room.cuttable = 1
    found.queue.look_up(now=1.0)
    assert room.cuttable == 0


@pytest.mark.parametrize(
    ("fields", "early", "later", "has_come"),
    [
        (b"Content-Length: 5", b"hel", b"", False),
        (b"content-length:5", b"hel", b"lo", True),
        (b"Content-Length: 10000000", b"", bytes(BEGUN_BYTES - 1), False),
        (b"Content-Length: 10000000", b"", bytes(BEGUN_BYTES), True),
        (b"Content-Length: 10000000", bytes(1000), bytes(BEGUN_BYTES - 1000), True),
        (b"Transfer-Encoding: chunked", b"", bytes(100), False),
        (b"Transfer-Encoding: chunked", b"", bytes(BEGUN_BYTES), True),
        (b"X: y", b"", b"", True),
    ],
)
def test_a_body_has_come_with_its_end_or_enough_of_it(
    fields: bytes, early: bytes, later: bytes, has_come: bool, pair: tuple[AnswerSocket, socket.socket]
) -> None:
    ours, theirs = pair
    connection = Connection(GunicornConfig(), ours, ("127.0.0.1", 1), ("127.0.0.1", 2), now=0.0)
    assert connection.head.feed(b"POST /import HTTP/1.1\r\n" + fields + b"\r\n\r\n" + early)
    connection.take_request()
    theirs.sendall(later)
    assert connection.has_body_come() is has_come
