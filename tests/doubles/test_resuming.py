"""TUS uploads to the double of the storage server under way: resumed, repeated, shared and given up."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.doubles.storage.plain import Answer, Plain, begun, encoded, read_from
from tests.doubles.storage.process import StorageDouble
from tests.doubles.storage.under_way import (
    CHUNK_TYPE,
    LARGE_BYTES,
    arrived,
    begin_patch,
    ended,
    held,
    leave_with_fin,
    leave_with_rst,
    size_of,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.unit

GET, POST, PUT, PATCH, HEAD, DELETE = "GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"
SERVER = "hasty"


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


@pytest.mark.parametrize(("kind", "offset"), [({"content_type": CHUNK_TYPE}, "3"), ({}, None)])
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
        assert 0.3 <= time.monotonic() - began < 5
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


@pytest.mark.parametrize("leave", [leave_with_fin, leave_with_rst])
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
        held(hasty, PATCH)
        other = client.patch(name, 0, b"abc") if method == PATCH else client.tus(method, name)
        assert (other.status, other.text) == (503, "" if method == HEAD else "acquiring lock timeout")
        hasty.release()
        # Somebody has asked for the upload for long enough, so the holder may come back with less than it was sent.
        assert holder.result().status == 204


@pytest.mark.parametrize(("offset", "status"), [("0", 409), ("3", 413)])
def test_a_refusal_by_tus_reaches_a_client_that_only_sends(offset: str, status: int, client: Plain) -> None:
    name = begun(client.create(f"refused-{status}", upload_length="9"))
    assert client.patch(name, 0, b"abc").status == 204
    began = time.monotonic()
    answer = requests.patch(
        f"{client.double.url}/upload/resumable/{name}",
        bytes(LARGE_BYTES),
        headers=client.double.headers(
            **{"Tus-Resumable": "1.0.0", "Upload-Offset": offset, "Content-Type": CHUNK_TYPE}
        ),
        timeout=10,
    )
    assert (answer.status_code, answer.headers["connection"]) == (status, "close")
    assert time.monotonic() - began < 5


def test_checksums_are_ignored(client: Plain) -> None:
    assert client.ask(PUT, "/object/imports/sums", b"x", content_md5="AAAAAAAAAAAAAAAAAAAAAA==").status == 200
    name = begun(client.create("checksum"))
    assert client.patch(name, 0, b"x", upload_checksum="md5 AAAAAAAAAAAAAAAAAAAAAA==").status == 204
