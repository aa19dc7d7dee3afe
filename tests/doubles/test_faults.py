"""What a test can make the double of the storage server do wrong, and what it can read of what was asked."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.doubles.storage.plain import Plain, begun, read_from
from tests.doubles.storage.process import StorageDouble
from tests.doubles.storage.under_way import LARGE_BYTES, ended, held, size_of

pytestmark = pytest.mark.unit

GET, POST, PUT, PATCH, HEAD, DELETE = "GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"
SERVER = "hasty"


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
        running = pool.submit(client.ask, PUT, "/object/imports/held", b"x")
        entry = held(hasty, PUT)
        assert (entry["status"], entry["received_bytes"], entry["ended"]) == (None, 0, None)
        assert size_of(client, "held") is None
        hasty.release()
        assert running.result().status == 200
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
        entry = held(hasty, GET)
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
    put, get = ended(hasty, PUT), ended(hasty, GET)
    wrong = hasty.journal()[1]
    assert (put["method"], put["path"], put["status"]) == (PUT, "/storage/v1/object/imports/noted", 200)
    assert put["headers"] == {
        "content-type": "a/b",
        "x-upsert": "true",
        "content-length": "1000",
        "accept-encoding": "identity",
    }
    assert (put["received_bytes"], get["received_bytes"], get["sent_bytes"]) == (1000, 0, 10)
    assert before <= put["began"] <= put["body_began"] <= put["ended"] <= time.monotonic()
    assert put["body_began"] <= get["began"]
    assert get["body_began"] is None
    assert [entry["authorized"] for entry in (put, wrong, get)] == [True, False, True]
    assert str(client.key) not in str(hasty.journal())
    hasty.clear_journal()
    assert hasty.journal() == []
