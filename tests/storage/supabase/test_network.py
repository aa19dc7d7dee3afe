"""Storage through a network that is slow, silent or encrypted: no thread waits longer than it was told, and whoever
is told to stop stops, with nothing but content in its hands.
"""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path

import pytest
from urllib3.util import Timeout

from dataflow.errors import StorageUnavailable
from dataflow.storage.base import Description, Storage, Unobserved
from dataflow.storage.messages import Request
from dataflow.storage.retry import Schedule
from dataflow.storage.supabase import SupabaseStorage, download
from dataflow.storage.supabase.api import MAX_IDLE_LINES, Api
from tests.doubles.storage.process import StorageDouble
from tests.support.acceptor import Acceptor
from tests.support.objects import store
from tests.support.proxies import Proxy
from tests.support.storages import CHUNK_BYTES, IMPATIENT, assert_wakes_when_closed, open_supabase
from tests.support.waiting import eventually

pytestmark = pytest.mark.unit

KEY = "k.csv"
CONTENT = random.Random(5).randbytes(40 * CHUNK_BYTES)


def through(proxy: Proxy, double: StorageDouble, schedule: Schedule = IMPATIENT) -> SupabaseStorage:
    api = Api(f"{proxy.url}/storage/v1", double.key(), "imports", Unobserved())
    return SupabaseStorage(api, schedule, CHUNK_BYTES, cache_seconds=3600)


@pytest.fixture
def encrypted(fresh_double: StorageDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    with Proxy(fresh_double.port, tmp_path) as proxy:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", proxy.ca_path)
        yield through(proxy, fresh_double)


def in_pieces(whole: bytes = CONTENT) -> Iterator[bytes]:
    return (whole[start : start + 10_000] for start in range(0, len(whole), 10_000))


def test_everything_works_over_tls(encrypted: Storage) -> None:
    store(encrypted, KEY, in_pieces())
    with encrypted.open(KEY) as reader:
        assert b"".join(reader.pieces(65536)) == CONTENT
    encrypted.check()


def test_a_reader_that_is_closed_over_tls_never_takes_ciphertext_for_content(encrypted: Storage) -> None:
    store(encrypted, KEY, in_pieces())
    chance = random.Random(6)
    for _ in range(25):
        received = bytearray()
        with encrypted.open(KEY) as reader:
            closer = threading.Timer(chance.uniform(0.0, 0.03), reader.close)
            closer.start()
            try:
                for piece in reader.pieces(5_000):
                    received += piece
            except StorageUnavailable:
                pass
            closer.join()
        assert received == CONTENT[: len(received)]


@pytest.mark.parametrize("method", ["PATCH", "HEAD", "POST"])
def test_an_answer_that_trickles_ends_with_the_time_there_is(method: str, fresh_double: StorageDouble) -> None:
    schedule = Schedule((0.0,), chunk_seconds=1.0, last_chunk_seconds=1.0)
    with Proxy(fresh_double.port, trickle_seconds=0.05) as proxy:
        start = time.monotonic()
        with pytest.raises(StorageUnavailable, match="timed out after"):
            store(through(proxy, fresh_double, schedule), KEY, [CONTENT[:100]], is_resumable=method != "POST")
        assert time.monotonic() - start < 5


@pytest.mark.parametrize("when", ["before the head", "in the head", "in the body"])
def test_closing_a_reader_wakes_it_wherever_it_waits(when: str, fresh_double: StorageDouble) -> None:
    storage = open_supabase(fresh_double)
    store(storage, KEY, in_pieces())
    if when == "before the head":
        fresh_double.fault("stall", method="GET", path="/object/authenticated/")
    if when == "in the body":
        fresh_double.fault("stall", method="GET", path="/object/authenticated/", after_bytes=70_000)
    with (
        Proxy(fresh_double.port, trickle_seconds=0.1 if when == "in the head" else 0.0) as proxy,
        through(proxy, fresh_double).open(KEY) as reader,
    ):
        assert_wakes_when_closed(reader, reader.pieces(50_000), 0.3)


def test_a_download_whose_head_is_cut_is_not_taken_for_an_empty_object() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                client, _address = listener.accept()
                with client:
                    client.recv(65536)
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n")

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        api = Api(f"http://127.0.0.1:{listener.getsockname()[1]}", "k", "imports", Unobserved())
        storage = SupabaseStorage(api, Schedule((0.0,)), CHUNK_BYTES, cache_seconds=3600)
        with storage.open(KEY) as reader, pytest.raises(StorageUnavailable, match="without its length"):
            list(reader.pieces(1000))
        server.join(5)
        assert not server.is_alive()


def test_the_end_of_a_body_whose_length_is_known_has_the_time_of_its_end(fresh_double: StorageDouble) -> None:
    """Its last bytes wait in the sockets while the chunk before is sent: their sender has been waiting since."""
    schedule = Schedule((0.0, 0.0, 0.0), chunk_seconds=30.0, last_chunk_seconds=1.0)
    fresh_double.fault("stall", method="PATCH", times=9)
    fresh_double.fault("stall", method="HEAD", times=9)
    described = Description("text/csv", size_bytes=CHUNK_BYTES + 10)
    start = time.monotonic()
    with pytest.raises(StorageUnavailable):
        open_supabase(fresh_double, schedule=schedule).put(
            KEY, in_pieces(CONTENT[: CHUNK_BYTES + 10]), lambda: described, lambda address: None
        )
    assert time.monotonic() - start < 5


def test_a_download_that_breaks_late_goes_on_all_the_same(
    fresh_double: StorageDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "PATIENCE_SECONDS", 0.3)
    storage = open_supabase(fresh_double)
    store(storage, KEY, in_pieces())
    for _ in range(3):
        fresh_double.fault("cut", method="GET", path="/object/authenticated/", after_bytes=CHUNK_BYTES * 5)
    received = bytearray()
    with storage.open(KEY) as reader:
        for piece in reader.pieces(CHUNK_BYTES):
            received += piece
            if len(received) > 16 * CHUNK_BYTES:
                continue  # the breaks are over
            pause_until = time.monotonic() + 0.05
            eventually(lambda end=pause_until: time.monotonic() >= end, every_seconds=0.01)
    assert received == CONTENT


def test_only_a_few_idle_connections_are_kept(fresh_double: StorageDouble) -> None:
    storage = open_supabase(fresh_double)
    together = threading.Barrier(12)
    threads = [threading.Thread(target=lambda: (together.wait(), storage.check())) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(storage.api._idle) <= MAX_IDLE_LINES


BYTES_LEFT: dict[str, Callable[[StorageDouble], None]] = {
    "an upload in the middle": lambda double: double.fault("answer", method="PATCH", status=503, skip=1, times=99),
    "complete but not registered": lambda double: (
        double.fault("reset", method="PATCH", skip=1, after_bytes=10, keep=True),
        double.fault("answer", method="HEAD", status=503, times=6),
    )[0],
    "an object": lambda double: double.fault("answer", path="/object/info/", status=503, times=99),
}


@pytest.mark.parametrize("what", BYTES_LEFT)
def test_discarding_leaves_no_byte_of(what: str, tmp_path: Path) -> None:
    with StorageDouble.start(tmp_path) as double:
        double.make_bucket("imports")
        storage, addresses = open_supabase(double), list[str | None]()
        BYTES_LEFT[what](double)
        with pytest.raises(StorageUnavailable):
            storage.put(KEY, in_pieces(CONTENT[: CHUNK_BYTES + 10]), lambda: Description("text/csv"), addresses.append)
        double.clear_faults()
        storage.discard(KEY, addresses[0])
        assert list((tmp_path / "bytes").iterdir()) == []


class Forgetful:
    """A server that answers the first request of each connection, and to whatever comes later hangs up; counts both.

    What it hangs up on looks to its client like a connection that has ended in the moment it was used.
    """

    def __init__(self) -> None:
        self.methods: list[str] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._acceptor = Acceptor(self._serve)
        self.url = f"http://127.0.0.1:{self._acceptor.port}"
        self.close = self._acceptor.close

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self.connections += 1
        with client, client.makefile("rb") as requests:
            for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b""):
                head = [line.lower() for line in takewhile(bool, iter(requests.readline, b"\r\n"))]
                if not head:
                    return
                self.methods.append(head[0].partition(b" ")[0].decode().upper())
                requests.read(sum(int(line.split()[1]) for line in head if line.startswith(b"content-length")))
                client.sendall(answer if self.methods[-1] != "HEAD" else answer.removesuffix(b"{}"))


@pytest.fixture
def forgetful() -> Iterator[Forgetful]:
    server = Forgetful()
    yield server
    server.close()


@pytest.fixture
def api(forgetful: Forgetful) -> Api:
    return Api(forgetful.url, "k", "imports", Unobserved())


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_a_kept_connection_that_has_ended_costs_no_attempt(method: str, api: Api, forgetful: Forgetful) -> None:
    for _ in range(3):
        assert api.exchange(Request("bucket", method, "/"), 5).is_success
    assert forgetful.methods == [method] * 5, "the second and the third were each sent again"


def test_what_must_not_be_sent_twice_is_not_and_the_attempt_after_it_meets_no_other_such_connection(
    api: Api, forgetful: Forgetful
) -> None:
    together = threading.Barrier(3)

    def keep() -> None:
        with api.line() as line:
            together.wait(5)
            api.answer(api.send(line, Request("bucket", "GET", "/"), Timeout(5)))

    threads = [threading.Thread(target=keep) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    patch = Request("upload", "PATCH", "/", body=b"1")
    with pytest.raises(StorageUnavailable):
        api.exchange(patch, 5)
    assert api.exchange(patch, 5).is_success
    assert forgetful.methods.count("PATCH") == 2


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    api: Api, forgetful: Forgetful, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow.storage.supabase.api.KEPT_SECONDS", 0.0)
    for _ in range(3):
        assert api.exchange(Request("upload", "PATCH", "/", body=b"1"), 5).is_success
    assert (forgetful.connections, len(forgetful.methods)) == (3, 3)


def test_a_server_that_was_restarted_is_asked_once(fresh_double: StorageDouble) -> None:
    """By somebody who asks only once, as /health does."""
    storage = open_supabase(fresh_double)
    storage.check()
    fresh_double.restart()
    storage.check()
