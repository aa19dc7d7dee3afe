"""The double while it makes an object of a TUS upload (contract section 13): slow, and in need of its client."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.doubles.storage.plain import Plain, begun
from tests.doubles.storage.process import StorageDouble
from tests.doubles.storage.under_way import begin_patch, leave_with_fin, size_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.unit

SERVER = "slow"
CONTENT = b"abc"
COMPLETION_SECONDS = 0.6


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageDouble]:
    with StorageDouble.start(tmp_path_factory.mktemp("slow"), completion_seconds=COMPLETION_SECONDS) as started:
        started.make_bucket("imports")
        yield started


def completing(client: Plain, key: str) -> tuple[str, socket.socket]:
    """An upload whose last byte has arrived, and the connection of the PATCH that brought it."""
    name = begun(client.create(key, upload_length=str(len(CONTENT))))
    return name, begin_patch(client, name, CONTENT, len(CONTENT))


def is_destroyed(client: Plain, name: str) -> bool:
    return client.tus("HEAD", name).status == 410


def test_the_last_patch_is_answered_once_the_object_is_there(client: Plain) -> None:
    name = begun(client.create("patient", upload_length=str(len(CONTENT))))
    began = time.monotonic()
    answer = client.patch(name, 0, CONTENT)
    assert (answer.status, answer.headers["tus-complete"]) == (204, "1")
    assert time.monotonic() - began >= COMPLETION_SECONDS
    assert size_of(client, "patient") == len(CONTENT)


def test_a_head_beside_it_is_answered_at_once_with_the_whole_offset_and_disturbs_nothing(client: Plain) -> None:
    name, connection = completing(client, "watched")
    with connection:
        asked = client.tus("HEAD", name)
        assert (asked.status, asked.headers["upload-offset"]) == (200, "3")
        assert size_of(client, "watched") is None, "still at it"
        assert connection.recv(100).startswith(b"HTTP/1.1 204")
    assert size_of(client, "watched") == len(CONTENT)


def test_a_connection_that_closes_meanwhile_destroys_the_upload(client: Plain) -> None:
    name, connection = completing(client, "left")
    leave_with_fin(connection)
    assert client.tus("HEAD", name).status == 200, "the server works on"
    eventually(lambda: is_destroyed(client, name))
    assert client.patch(name, len(CONTENT)).status == 410
    assert size_of(client, "left") is None


def test_an_empty_patch_at_once_saves_it(client: Plain) -> None:
    name, connection = completing(client, "saved")
    leave_with_fin(connection)
    answer = client.patch(name, len(CONTENT))
    assert (answer.status, answer.headers["tus-complete"]) == (204, "1")
    assert size_of(client, "saved") == len(CONTENT)


def test_a_second_empty_patch_beside_the_first_is_answered_as_well(client: Plain) -> None:
    name, connection = completing(client, "twice")
    with connection, ThreadPoolExecutor(1) as others:
        second = others.submit(client.patch, name, len(CONTENT), x_upsert="true")
        assert connection.recv(100).startswith(b"HTTP/1.1 204")
        assert second.result().status == 204
    assert size_of(client, "twice") == len(CONTENT)


def test_a_server_that_is_killed_meanwhile_completes_the_upload_when_it_is_asked_again(client: Plain) -> None:
    name, connection = completing(client, "crash")
    client.double.restart()
    connection.close()
    assert client.tus("HEAD", name).headers["upload-offset"] == "3"
    assert client.patch(name, len(CONTENT)).status == 204
    assert size_of(client, "crash") == len(CONTENT)


def test_a_sparse_server_keeps_the_length_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    with StorageDouble.start(tmp_path_factory.mktemp("sparse"), sparse=True) as sparse:
        sparse.make_bucket("imports")
        client = Plain(sparse, sparse.key())
        length = 32 << 20
        name = begun(client.create("hole", upload_length=str(length)))
        assert client.patch(name, 0, b"\1" * length).status == 204
        assert size_of(client, "hole") == length
        used = sum(path.stat().st_blocks * 512 for path in (sparse.folder / "bytes").iterdir())
        assert used < 1 << 20


def test_a_length_over_the_limit_is_refused_before_any_byte_and_a_deferred_one_where_the_offset_passes_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with StorageDouble.start(tmp_path_factory.mktemp("limited"), global_limit=5) as limited:
        limited.make_bucket("imports")
        client = Plain(limited, limited.key())
        refused = client.create("declared", upload_length="6")
        assert (refused.status, refused.body) == (413, b"Maximum size exceeded")
        name = begun(client.create("deferred"))
        assert client.patch(name, 0, b"abc").status == 204
        assert client.patch(name, 3, b"def").status == 413


def test_a_token_without_a_role_is_found_out_at_the_first_write(slow: StorageDouble) -> None:
    headers = {"Authorization": f"Bearer {slow.token(sub='x')}"}

    assert requests.get(f"{slow.url}/bucket/imports", headers=headers, timeout=10).status_code == 200
    for path in ("/object/imports/no", "/object/upload/sign/imports/no"):
        answer = requests.post(f"{slow.url}{path}", headers=headers, timeout=10)
        assert (answer.status_code, answer.json()["statusCode"], answer.json()["code"]) == (400, "403", "AccessDenied")
