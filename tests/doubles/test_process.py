"""The double of the storage server as a process: killed, ended, refused to, left alone, slowed down."""

import gc
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.doubles.storage.plain import Plain, begun, read_answer, read_from
from tests.doubles.storage.process import StorageDouble
from tests.doubles.storage.under_way import (
    CHUNK_TYPE,
    LARGE_BYTES,
    arrived,
    begin_patch,
    ended,
    files,
    leave_with_fin,
    leave_with_rst,
    size_of,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.unit

GET, POST, PUT, PATCH, HEAD, DELETE = "GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"
SERVER = "hasty"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[StorageDouble]:
    """A server of the test's own."""
    with StorageDouble.start(tmp_path / "own") as started:
        started.make_bucket("imports")
        yield started


# The process


def test_buckets_objects_and_uploads_survive_a_kill(own: StorageDouble) -> None:
    client = Plain(own, own.key())
    assert client.ask(PUT, "/object/imports/k", b"stored", content_type="text/csv").status == 200
    before = client.ask(GET, "/object/info/imports/k").json
    name = begun(client.create("u"))
    assert client.patch(name, 0, b"part").status == 204
    own.kill()
    with pytest.raises(ConnectionRefusedError):
        client.ask(GET, "/status")
    own.restart()
    assert client.ask(GET, "/object/info/imports/k").json == before
    assert client.patch(name, 4, b"ial", upload_length="7").headers["tus-complete"] == "1"
    assert client.ask(GET, "/object/authenticated/imports/u").body == b"partial"


def test_a_kill_in_the_middle_of_a_patch_keeps_what_reached_the_disk(own: StorageDouble) -> None:
    client = Plain(own, own.key())
    name = begun(client.create("k", upload_length="1000"))
    headers = {"tus_resumable": "1.0.0", "upload_offset": "0", "content_type": CHUNK_TYPE}
    with client.begin(PATCH, f"/upload/resumable/{name}", b"x" * 400, 1000, **headers):
        eventually(arrived(own, PATCH, 400))
        own.kill()
    own.restart()
    assert client.tus(HEAD, name).headers["upload-offset"] == "400"
    assert client.patch(name, 400, b"y" * 600).headers["tus-complete"] == "1"
    assert client.ask(GET, "/object/authenticated/imports/k").body == b"x" * 400 + b"y" * 600


def test_a_kill_in_the_middle_of_a_standard_upload_leaves_nothing(own: StorageDouble) -> None:
    client = Plain(own, own.key())
    with client.begin(POST, "/object/imports/k", b"x" * 400, 1000):
        eventually(arrived(own, POST, 400))
        own.kill()
    own.restart()
    assert size_of(client, "k") is None
    assert files(own) == []


OWNER = """
import sys, time
from pathlib import Path
from tests.doubles.storage.process import StorageDouble
double = StorageDouble.start(Path(sys.argv[1]))
print(double.port, flush=True)
sys.stdin.read()
"""


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", OWNER, str(tmp_path / "double")]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        port = int(owner.stdout.readline())
        assert requests.get(f"http://127.0.0.1:{port}/storage/v1/status", timeout=10).ok
        owner.send_signal(signal.SIGKILL)
    eventually(lambda: not _listens(port))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_ends_with_the_last_reference_and_without_a_warning(tmp_path: Path) -> None:
    double = StorageDouble.start(tmp_path / "double")
    port = double.port
    del double
    gc.collect()
    assert not _listens(port)


def test_it_is_started_again_with_other_options(own: StorageDouble) -> None:
    own.restart_with(honest_location=True)
    client = Plain(own, own.key())
    assert client.create("k").headers["location"].startswith(f"{own.url}/upload/resumable/")
    own.restart_with(honest_location=None)
    assert client.create("k").headers["location"].startswith("http://storage.internal:5000/upload/resumable/")


def test_an_option_that_does_not_exist_fails_the_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no-such-thing"):
        StorageDouble.start(tmp_path / "double", no_such_thing=1)


def test_a_server_that_is_terminated_lets_a_running_patch_finish(own: StorageDouble) -> None:
    client = Plain(own, own.key())
    name = begun(client.create("k", upload_length="10"))
    with begin_patch(client, name, b"01234", 10) as running:
        own.terminate()
        eventually(lambda: not _listens(own.port))
        running.sendall(b"56789")
        assert read_from(running, PATCH).headers["tus-complete"] == "1"
    assert own.wait() == 0
    own.restart()
    assert client.ask(GET, "/object/authenticated/imports/k").body == b"0123456789"


# A standard upload refused, or broken off


def test_a_large_body_refused_early_hangs_a_client_that_only_sends(client: Plain, hasty: StorageDouble) -> None:
    assert client.ask(PUT, "/object/imports/there", b"x").status == 200
    hasty.clear_journal()
    with pytest.raises(requests.ConnectionError, match="timed out"):
        requests.post(
            f"{hasty.url}/object/imports/there", bytes(LARGE_BYTES), headers=hasty.headers(), timeout=(0.2, 10)
        )
    [entry] = hasty.journal()
    assert (entry["status"], entry["received_bytes"], entry["body_began"]) == (400, 0, None)


def test_a_client_without_a_timeout_gets_the_answer_when_the_server_gives_up(
    client: Plain, hasty: StorageDouble
) -> None:
    assert client.ask(PUT, "/object/imports/there", b"x").status == 200
    began = time.monotonic()
    url = f"{hasty.url}/object/imports/there"
    answer = requests.post(url, bytes(LARGE_BYTES), headers=hasty.headers(), timeout=None)
    assert (answer.status_code, answer.json()["statusCode"]) == (400, "409")
    assert time.monotonic() - began >= 0.6


def test_a_client_that_listens_while_it_sends_gets_the_answer_at_once(client: Plain) -> None:
    assert client.ask(PUT, "/object/imports/there", b"x").status == 200
    with client.begin(POST, "/object/imports/there", b"x" * 100_000, LARGE_BYTES) as connection:
        assert read_from(connection).json["statusCode"] == "409"


@pytest.mark.parametrize("body", [b"x" * 50_000, iter([b"x" * 50_000])], ids=["announced", "chunked"])
def test_a_connection_is_used_again_after_a_small_body_was_refused(body: Any, client: Plain) -> None:
    assert client.ask(PUT, "/object/imports/there", b"x").status == 200
    connection = client.connect()
    for _ in range(2):
        connection.request(POST, "/storage/v1/object/imports/there", body, {"Authorization": f"Bearer {client.key}"})
        assert read_answer(connection.getresponse()).json["statusCode"] == "409"
        first = connection.sock
    assert connection.sock is first is not None
    connection.close()


def test_an_idle_connection_is_closed(client: Plain) -> None:
    connection = client.connect()
    connection.request(GET, "/storage/v1/status")
    assert read_answer(connection.getresponse()).status == 200
    assert connection.sock.recv(1) == b""
    connection.close()


@pytest.mark.parametrize("leave", [leave_with_fin, leave_with_rst])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    leave: Callable[[socket.socket], None], chunked: bool, client: Plain, own: StorageDouble
) -> None:
    client = Plain(own, own.key())
    assert client.ask(PUT, "/object/imports/k", b"old").status == 200
    before = files(own)
    part, headers = b"x" * 300, {"x_upsert": "true"}
    if chunked:
        part, headers = b"12c\r\n" + part, {**headers, "transfer_encoding": "chunked"}
    connection = client.begin(POST, "/object/imports/k", part, 1000, **headers)
    eventually(arrived(own, POST, 300))
    assert len(files(own)) == 2
    leave(connection)
    ended(own, POST)
    assert files(own) == before
    assert client.ask(GET, "/object/authenticated/imports/k").body == b"old"


def test_a_half_closed_connection_is_told_of_a_client_error(client: Plain) -> None:
    with client.begin(POST, "/object/imports/half", b"x" * 300, 1000) as connection:
        connection.shutdown(socket.SHUT_WR)
        answer = read_from(connection)
    told = {"error": "Bad Request", "message": "Client Error", "statusCode": 400}
    assert (answer.status, answer.json) == (400, told)
    assert size_of(client, "half") is None


def test_of_two_uploads_to_one_key_both_succeed_and_the_last_to_finish_wins(client: Plain) -> None:
    with client.begin(POST, "/object/imports/race", b"slow", 8) as slow:
        eventually(arrived(client.double, POST, 4))
        assert size_of(client, "race") is None
        assert client.ask(POST, "/object/imports/race", b"quick").status == 200
        slow.sendall(b"slow")
        assert read_from(slow).status == 200
    assert client.ask(GET, "/object/authenticated/imports/race").body == b"slowslow"


def test_continue_is_answered_before_anything_is_checked(client: Plain) -> None:
    with client.begin(POST, "/object/none/k", b"", 5, expect="100-continue") as connection:
        interim = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert connection.recv(len(interim), socket.MSG_WAITALL) == interim
        connection.sendall(b"12345")
        assert read_from(connection).json["code"] == "NoSuchBucket"


def test_removing_an_object_does_not_break_its_download(client: Plain, hasty: StorageDouble) -> None:
    content = os.urandom(LARGE_BYTES)
    assert client.ask(PUT, "/object/imports/long", content).status == 200
    url = f"{hasty.url}/object/authenticated/imports/long"
    with requests.get(url, headers=hasty.headers(), stream=True, timeout=10) as answer:
        first = answer.raw.read(1000)
        assert client.ask(DELETE, "/object/imports/long").status == 200
        assert first + answer.raw.read() == content


# What it has to share out


@pytest.mark.parametrize("method", [PUT, PATCH, GET])
def test_the_pace_is_kept_in_both_directions(method: str, own: StorageDouble) -> None:
    content, rate = os.urandom(3_000_000), 10e6
    client = Plain(own, own.key())
    assert client.ask(PUT, "/object/imports/read", content).status == 200
    name = begun(client.create("written", upload_length=str(len(content))))
    own.restart_with(bytes_per_second=rate)
    began = time.monotonic()
    if method == GET:
        assert client.ask(GET, "/object/authenticated/imports/read").body == content
    else:
        sent = client.patch(name, 0, content) if method == PATCH else client.ask(PUT, "/object/imports/new", content)
        assert sent.status in (200, 204)
    assert 0.3 <= time.monotonic() - began < 5
    etags = [client.ask(GET, f"/object/info/imports/{key}").json.get("etag") for key in ("read", "new", "written")]
    assert len({etag for etag in etags if etag}) == 1


def test_slow_patches_take_every_database_connection_from_the_others(own: StorageDouble) -> None:
    own.restart_with(database_connections=2, connection_seconds=0.1)
    client = Plain(own, own.key())
    names = [begun(client.create(f"k{number}", upload_length="10")) for number in range(3)]
    with begin_patch(client, names[0], b"x", 10), begin_patch(client, names[1], b"x", 10):
        refused = client.patch(names[2], 0, b"x")
        assert (refused.status, refused.text) == (544, "The connection to the database timed out")
        assert client.tus(HEAD, names[2]).status == 544
        other = client.ask(GET, "/object/authenticated/imports/none")
        assert (other.status, other.json["code"], other.json["statusCode"]) == (544, "DatabaseTimeout", "544")
    ended(own, PATCH)
    assert client.patch(names[2], 0, b"x").status == 204


def test_slow_standard_uploads_take_none(own: StorageDouble) -> None:
    own.restart_with(database_connections=1, connection_seconds=0.1)
    client = Plain(own, own.key())
    with client.begin(POST, "/object/imports/a", b"x", 2), client.begin(POST, "/object/imports/b", b"x", 2):
        eventually(lambda: len([entry for entry in own.journal() if entry["received_bytes"] == 1]) == 2)
        assert client.ask(PUT, "/object/imports/c", b"x").status == 200


def test_many_connections_are_served_at_once(client: Plain) -> None:
    barrier = threading.Barrier(20)

    def put(number: int) -> int:
        with client.begin(PUT, f"/object/imports/many-{number}", b"x", 2) as connection:
            barrier.wait(10)
            connection.sendall(b"y")
            return read_from(connection).status

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(put, range(20))) == {200}
    assert len([entry for entry in client.double.journal() if re.search(r"many-\d+$", entry["path"])]) == 20
