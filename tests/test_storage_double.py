"""The double of the storage server under way: what happens between requests, to broken ones, and by order of a test."""

import gc
import os
import re
import signal
import socket
import struct
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

from tests.processes import eventually
from tests.storage_double.plain import Answer, Plain, begun, encoded, read_answer, read_from
from tests.storage_double.process import StorageDouble

pytestmark = pytest.mark.unit

GET, POST, PUT, PATCH, HEAD, DELETE = "GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"
CHUNK = "application/offset+octet-stream"
#: More than the sockets of a machine hold together.
LARGE_BYTES = 32 << 20


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageDouble]:
    """A server that waits a tenth as long as the real one."""
    folder = tmp_path_factory.mktemp("hasty")
    with StorageDouble.start(folder, drain_seconds=0.3, lock_seconds=0.5, idle_seconds=0.6) as started:
        started.make_bucket("imports")
        yield started


@pytest.fixture
def client(hasty: StorageDouble) -> Iterator[Plain]:
    hasty.clear_faults()
    hasty.clear_journal()
    yield Plain(hasty, hasty.key())
    hasty.release()
    assert hasty.log() == ""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[StorageDouble]:
    """A server of the test's own."""
    with StorageDouble.start(tmp_path / "own") as started:
        started.make_bucket("imports")
        yield started


def size_of(client: Plain, key: str) -> int | None:
    info = client.ask(GET, f"/object/info/imports/{key}")
    return info.json["size"] if info.status == 200 else None


def files(double: StorageDouble) -> list[Path]:
    return list((double.folder / "bytes").iterdir())


def arrived(double: StorageDouble, method: str, received_bytes: int = 0) -> Callable[[], dict[str, Any] | None]:
    """Asks for the last request of a method, once so much of its body is there."""

    def last() -> dict[str, Any] | None:
        found = [entry for entry in double.journal() if entry["method"] == method]
        return found[-1] if found and found[-1]["received_bytes"] >= received_bytes else None

    return last


def ended(double: StorageDouble, method: str) -> dict[str, Any]:
    """The last request of a method, once it is over."""
    last = arrived(double, method)
    return eventually(lambda: entry if (entry := last()) and entry["ended"] else None)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


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
    headers = {"tus_resumable": "1.0.0", "upload_offset": "0", "content_type": CHUNK}
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
from tests.storage_double.process import StorageDouble
double = StorageDouble.start(Path(sys.argv[1]))
print(double.port, flush=True)
sys.stdin.read()
"""


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
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


def test_an_idle_connection_is_closed_and_a_session_makes_another(hasty: StorageDouble) -> None:
    with requests.Session() as session, socket.create_connection(("127.0.0.1", hasty.port)) as idle:
        assert session.get(f"{hasty.url}/status", timeout=10).ok
        idle.settimeout(10)
        assert idle.recv(1) == b""
        assert session.get(f"{hasty.url}/status", timeout=10).ok


def leave_with_fin(connection: socket.socket) -> None:
    connection.close()


@pytest.mark.parametrize("leave", [leave_with_fin, reset])
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


# TUS under way


def test_an_upload_of_unknown_length_declares_it_in_the_end(client: Plain) -> None:
    metadata = {"contentType": "text/csv", "cacheControl": "60", "metadata": '{"job": "1"}'}
    name = begun(client.create("deferred", metadata=metadata))
    assert client.patch(name, 0, b"abc").headers["upload-offset"] == "3"
    told = client.tus(HEAD, name).headers
    assert (told["upload-defer-length"], told.get("upload-length")) == ("1", None)
    assert size_of(client, "deferred") is None
    assert client.patch(name, 3, iter([b"d", b"ef"]), upload_length="6").headers["tus-complete"] == "1"
    assert client.tus(HEAD, name).headers["upload-length"] == "6"
    info = client.ask(GET, "/object/info/imports/deferred").json
    stored = (info["size"], info["content_type"], info["cache_control"], info["metadata"])
    assert stored == (6, "text/csv", "max-age=60", {"job": "1"})
    assert client.ask(GET, "/object/authenticated/imports/deferred").body == b"abcdef"


@pytest.mark.parametrize("key", ["created-empty", "deferred-empty"])
def test_an_empty_object_by_tus(key: str, client: Plain) -> None:
    if key == "created-empty":
        assert client.create(key, upload_length="0").headers["tus-complete"] == "1"
    else:
        assert client.patch(begun(client.create(key)), 0, upload_length="0").headers["tus-complete"] == "1"
    assert size_of(client, key) == 0


@pytest.mark.parametrize(("kind", "offset"), [({"content_type": CHUNK}, "3"), ({}, None)])
def test_a_first_chunk_rides_along_only_with_its_type(kind: dict[str, str], offset: str | None, client: Plain) -> None:
    target = encoded({"bucketName": "imports", "objectName": f"ride-{offset}"})
    created = client.tus(POST, "", b"abc", upload_length="6", upload_metadata=target, **kind)
    assert created.headers.get("upload-offset") == offset
    assert client.tus(HEAD, begun(created)).headers["upload-offset"] == (offset or "0")


def test_bad_user_metadata_is_accepted_and_dropped(client: Plain) -> None:
    assert client.create("bad-metadata", metadata={"metadata": "{"}, upload_length="0").status == 201
    assert client.ask(GET, "/object/info/imports/bad-metadata").json["metadata"] == {}


def test_another_key_may_continue_an_upload(client: Plain) -> None:
    name = begun(client.create("two-keys", upload_length="2"))
    other = Plain(client.double, client.double.key(expires_in_seconds=60))
    assert client.patch(name, 0, b"a").status == other.patch(name, 1, b"b").status == 204


def test_an_upload_replaces_an_object_only_when_each_request_says_so(client: Plain) -> None:
    assert client.ask(PUT, "/object/imports/replaced", b"old").status == 200
    name = begun(client.create("replaced", upload_length="3", x_upsert="true"))
    assert client.patch(name, 0, b"new").status == 409
    assert client.patch(name, 0, b"new", x_upsert="true").headers["tus-complete"] == "1"
    assert client.ask(GET, "/object/authenticated/imports/replaced").body == b"new"


def test_an_empty_patch_at_the_end_may_be_repeated_with_x_upsert(client: Plain) -> None:
    name = begun(client.create("repeated"))
    assert client.patch(name, 0, b"abc", upload_length="3").status == 204
    assert client.patch(name, 3, x_upsert="true").headers["tus-complete"] == "1"
    assert client.patch(name, 3).status == 409
    assert client.ask(GET, "/object/authenticated/imports/repeated").body == b"abc"


def test_an_empty_patch_completes_what_was_not_registered(client: Plain, hasty: StorageDouble) -> None:
    name = begun(client.create("unregistered", upload_length="3"))
    hasty.fault("reset", method=PATCH)
    with pytest.raises(ConnectionError):
        client.patch(name, 0, b"abc")
    assert client.tus(HEAD, name).headers["upload-offset"] == "3"
    assert size_of(client, "unregistered") is None
    assert client.patch(name, 3).headers["tus-complete"] == "1"
    assert client.ask(GET, "/object/authenticated/imports/unregistered").body == b"abc"


def begin_patch(client: Plain, name: str, part: bytes, length_bytes: int) -> socket.socket:
    headers = {"tus_resumable": "1.0.0", "upload_offset": "0", "content_type": CHUNK}
    connection = client.begin(PATCH, f"/upload/resumable/{name}", part, length_bytes, **headers)
    eventually(arrived(client.double, PATCH, len(part)))
    return connection


OTHERS: dict[str, Callable[[Plain, str], Answer]] = {
    "HEAD": lambda client, name: client.tus(HEAD, name),
    "PATCH": lambda client, name: client.patch(name, 400, b"y" * 600),
    "DELETE": lambda client, name: client.tus(DELETE, name),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_running_patch_ends_early_when_somebody_else_comes(other: str, client: Plain) -> None:
    name = begun(client.create(f"shared-{other}", upload_length="1000"))
    with begin_patch(client, name, b"x" * 400, 1000) as running:
        began = time.monotonic()
        answer = OTHERS[other](client, name)
        assert 0.3 <= time.monotonic() - began < 2
        cut = read_from(running, PATCH)
    assert (cut.status, cut.headers["upload-offset"], cut.headers["connection"]) == (204, "400", "close")
    assert answer.status == (200 if other == "HEAD" else 204)
    if other == "PATCH":
        assert client.ask(GET, f"/object/authenticated/imports/shared-{other}").body == b"x" * 400 + b"y" * 600
    else:
        assert client.tus(HEAD, name).status == (200 if other == "HEAD" else 404)


def test_a_running_patch_has_time_to_end_by_itself(client: Plain) -> None:
    name = begun(client.create("shared-in-time", upload_length="1000"))
    with ThreadPoolExecutor(1) as pool, begin_patch(client, name, b"x" * 400, 1000) as running:
        head = pool.submit(client.tus, HEAD, name)
        eventually(arrived(client.double, HEAD))
        running.sendall(b"x" * 600)
        assert read_from(running, PATCH).headers["tus-complete"] == "1"
        assert head.result().headers["upload-offset"] == "1000"


@pytest.mark.parametrize("leave", [leave_with_fin, reset])
def test_what_arrived_of_a_patch_stays_when_its_client_leaves(
    leave: Callable[[socket.socket], None], client: Plain
) -> None:
    name = begun(client.create(f"left-{leave.__name__}", upload_length="1000"))
    leave(begin_patch(client, name, b"x" * 400, 1000))
    ended(client.double, PATCH)
    assert client.tus(HEAD, name).headers["upload-offset"] == "400"


@pytest.mark.parametrize("method", [HEAD, PATCH, DELETE])
def test_a_lock_that_is_not_given_up_is_a_503(method: str, client: Plain, hasty: StorageDouble) -> None:
    name = begun(client.create(f"locked-{method}", upload_length="3"))
    hasty.fault("stall", method=PATCH, locked=True)
    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(client.patch, name, 0, b"abc")
        eventually(arrived(hasty, PATCH))
        other = client.patch(name, 0, b"abc") if method == PATCH else client.tus(method, name)
        assert (other.status, other.text) == (503, "" if method == HEAD else "acquiring lock timeout")
        hasty.release()
        assert holder.result().headers["tus-complete"] == "1"


@pytest.mark.parametrize(("offset", "status"), [("0", 409), ("3", 413)])
def test_a_refusal_by_tus_reaches_a_client_that_only_sends(offset: str, status: int, client: Plain) -> None:
    name = begun(client.create(f"refused-{status}", upload_length="9"))
    assert client.patch(name, 0, b"abc").status == 204
    began = time.monotonic()
    answer = requests.patch(
        f"{client.double.url}/upload/resumable/{name}",
        bytes(LARGE_BYTES),
        headers=client.double.headers(**{"Tus-Resumable": "1.0.0", "Upload-Offset": offset, "Content-Type": CHUNK}),
        timeout=10,
    )
    assert (answer.status_code, answer.headers["connection"]) == (status, "close")
    assert time.monotonic() - began < 5


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


def test_checksums_are_ignored(client: Plain) -> None:
    assert client.ask(PUT, "/object/imports/sums", b"x", content_md5="AAAAAAAAAAAAAAAAAAAAAA==").status == 200
    name = begun(client.create("checksum"))
    assert client.patch(name, 0, b"x", upload_checksum="md5 AAAAAAAAAAAAAAAAAAAAAA==").status == 204


# The pace


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
    assert 0.3 <= time.monotonic() - began < 2
    etags = [client.ask(GET, f"/object/info/imports/{key}").json.get("etag") for key in ("read", "new", "written")]
    assert len({etag for etag in etags if etag}) == 1


# Faults


def test_an_answer_is_dictated_to_some_requests(client: Plain, hasty: StorageDouble) -> None:
    hasty.fault(
        "answer", method=PUT, path="/k$", skip=1, times=2, status=503, body={"a": 1}, headers={"Retry-After": "2"}
    )
    statuses = [client.ask(PUT, "/object/imports/k", b"x" * 300_000) for _ in range(4)]
    assert [answer.status for answer in statuses] == [200, 503, 503, 200]
    assert (statuses[1].json, statuses[1].headers["retry-after"]) == ({"a": 1}, "2")
    assert [entry["received_bytes"] for entry in hasty.journal()] == [300_000] * 4


def test_an_answer_may_come_before_the_body_is_read(client: Plain, hasty: StorageDouble) -> None:
    hasty.fault("answer", method=PUT, status=503, body="busy", read_body=False)
    with client.begin(PUT, "/object/imports/k", b"x" * 100_000, LARGE_BYTES) as connection:
        assert (answer := read_from(connection)).status == 503
        assert answer.text == "busy"
    [entry] = hasty.journal()
    assert (entry["status"], entry["received_bytes"]) == (503, 0)


def test_faults_can_be_cleared(client: Plain, hasty: StorageDouble) -> None:
    hasty.fault("answer", status=503, times=9)
    hasty.clear_faults()
    assert client.ask(GET, "/status").status == 200


def test_two_faults_follow_each_other(client: Plain, hasty: StorageDouble) -> None:
    hasty.fault("answer", method=GET, status=503)
    hasty.fault("answer", method=GET, status=504)
    assert [client.ask(GET, "/status").status for _ in range(3)] == [503, 504, 200]


def test_an_unknown_deed_or_field_is_the_test_s_mistake(hasty: StorageDouble) -> None:
    with pytest.raises(ValueError, match="explode"):
        hasty.fault("explode")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="stauts"):
        hasty.fault("answer", stauts=503)


@pytest.mark.parametrize(("keep", "kept"), [(True, "70000"), (False, "0")])
def test_a_reset_in_a_patch(keep: bool, kept: str, client: Plain, hasty: StorageDouble) -> None:
    name = begun(client.create(f"reset-{keep}", upload_length="300000"))
    hasty.fault("reset", method=PATCH, after_bytes=70_000, keep=keep)
    with pytest.raises(ConnectionError):
        client.patch(name, 0, b"x" * 300_000)
    assert (entry := ended(hasty, PATCH))["status"] is None
    assert entry["received_bytes"] == 70_000
    assert client.tus(HEAD, name).headers["upload-offset"] == kept


def test_a_reset_in_a_standard_upload_leaves_nothing(client: Plain, hasty: StorageDouble) -> None:
    hasty.fault("reset", method=POST, after_bytes=70_000)
    with pytest.raises(ConnectionError):
        client.ask(POST, "/object/imports/reset", b"x" * 300_000)
    assert size_of(client, "reset") is None


def test_a_reset_of_a_request_without_a_body(client: Plain, hasty: StorageDouble) -> None:
    hasty.fault("reset", method=GET)
    with pytest.raises(ConnectionError):
        client.ask(GET, "/status")


def test_a_lost_answer_is_one_to_something_done(client: Plain, hasty: StorageDouble) -> None:
    hasty.fault("lose_answer", method=POST)
    with pytest.raises(ConnectionError):
        client.ask(POST, "/object/imports/lost", b"abc")
    assert ended(hasty, POST)["status"] is None
    assert size_of(client, "lost") == 3


@pytest.mark.parametrize("end", ["rst", "fin"])
@pytest.mark.parametrize("after_bytes", [0, 1, 1_234_567])
def test_a_download_is_cut_at_an_exact_byte(end: str, after_bytes: int, client: Plain, hasty: StorageDouble) -> None:
    content = os.urandom(2_000_000)
    assert client.ask(PUT, "/object/imports/cut", content).status == 200
    hasty.fault("cut", method=GET, after_bytes=after_bytes, end=end)
    url, got = f"{hasty.url}/object/authenticated/imports/cut", b""
    with (
        requests.get(url, headers=hasty.headers(), stream=True, timeout=10) as answer,
        pytest.raises(requests.exceptions.ChunkedEncodingError),
    ):
        for piece in answer.iter_content(1000):
            got += piece
    assert content.startswith(got)
    assert after_bytes - 1000 < len(got) <= after_bytes
    assert ended(hasty, GET)["sent_bytes"] == after_bytes


def test_a_request_is_held_until_released(client: Plain, hasty: StorageDouble) -> None:
    hasty.fault("stall", method=PUT)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(client.ask, PUT, "/object/imports/held", b"x")
        entry = eventually(arrived(hasty, PUT))
        assert (entry["status"], entry["received_bytes"], entry["ended"]) == (None, 0, None)
        assert size_of(client, "held") is None
        hasty.release()
        assert held.result().status == 200
    assert size_of(client, "held") == 1


def test_a_request_is_held_no_longer_than_its_client_waits(client: Plain, hasty: StorageDouble) -> None:
    hasty.fault("stall", method=PUT)
    with pytest.raises(requests.ReadTimeout):
        requests.put(f"{hasty.url}/object/imports/left", b"x", headers=hasty.headers(), timeout=0.2)
    assert ended(hasty, PUT)["status"] is None
    assert size_of(client, "left") is None


def test_a_download_stands_still_until_released(client: Plain, hasty: StorageDouble) -> None:
    content = os.urandom(300_000)
    assert client.ask(PUT, "/object/imports/still", content).status == 200
    hasty.fault("stall", method=GET, after_bytes=100_000)
    url = f"{hasty.url}/object/authenticated/imports/still"
    with requests.get(url, headers=hasty.headers(), stream=True, timeout=10) as answer:
        assert answer.raw.read(100_000) == content[:100_000]
        entry = eventually(arrived(hasty, GET))
        assert (entry["status"], entry["sent_bytes"], entry["ended"]) == (200, 100_000, None)
        hasty.release()
        assert answer.raw.read() == content[100_000:]


def test_an_offset_is_answered_that_is_not_true(client: Plain, hasty: StorageDouble) -> None:
    name = begun(client.create("offset"))
    hasty.fault("offset", method=PATCH, delta=-2)
    assert client.patch(name, 0, b"abc").headers["upload-offset"] == "1"
    assert client.tus(HEAD, name).headers["upload-offset"] == "3"


def test_an_upload_is_forgotten(client: Plain, hasty: StorageDouble) -> None:
    name = begun(client.create("forgotten"))
    hasty.fault("forget_upload", method=PATCH)
    assert client.patch(name, 0, b"abc").status == 410
    assert client.tus(HEAD, name).status == 410


def test_acknowledged_bytes_are_set_back(client: Plain, hasty: StorageDouble) -> None:
    name = begun(client.create("set-back"))
    assert client.patch(name, 0, b"abcdef").status == 204
    hasty.fault("set_back", method=HEAD, lost_bytes=4)
    assert client.tus(HEAD, name).headers["upload-offset"] == "2"
    assert client.patch(name, 2, b"cd", upload_length="4").headers["tus-complete"] == "1"
    assert client.ask(GET, "/object/authenticated/imports/set-back").body == b"abcd"


# The journal


def test_the_journal_tells_what_was_asked_and_never_with_which_key(client: Plain, hasty: StorageDouble) -> None:
    before = time.monotonic()
    assert client.ask(PUT, "/object/imports/noted?a=1", b"x" * 1000, content_type="a/b", x_upsert="true").status == 200
    assert Plain(hasty, "wrong").ask(GET, "/object/authenticated/imports/noted", range="bytes=0-9").status == 400
    assert client.ask(GET, "/object/authenticated/imports/noted", range="bytes=0-9").status == 206
    put, wrong, get = hasty.journal()
    assert (put["method"], put["path"], put["status"]) == (PUT, "/storage/v1/object/imports/noted", 200)
    assert put["headers"] == {
        "content-type": "a/b",
        "x-upsert": "true",
        "content-length": "1000",
        "accept-encoding": "identity",
    }
    assert (put["received_bytes"], get["received_bytes"], get["sent_bytes"]) == (1000, 0, 10)
    assert before <= put["began"] <= put["body_began"] <= put["ended"] <= get["began"] <= time.monotonic()
    assert get["body_began"] is None
    assert [entry["authorized"] for entry in (put, wrong, get)] == [True, False, True]
    assert str(client.key) not in str(hasty.journal())
    hasty.clear_journal()
    assert hasty.journal() == []


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
