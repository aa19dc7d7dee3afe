"""What every storage does alike: the same tests over the local directory and over Supabase's protocol."""

import contextlib
import hashlib
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dataflow.errors import ObjectMissing, StorageError, StorageUnavailable, UploadLost
from dataflow.storage.base import Description, Storage, StoredObject, Upload, complete
from dataflow.storage.chunks import chunks
from tests.support.objects import is_there, store
from tests.support.storages import CHUNK_BYTES, conforming, variables_of

pytestmark = pytest.mark.unit

SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7)


@pytest.fixture(scope="module", params=["local", "supabase"])
def storage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    with conforming(request.param, tmp_path_factory.mktemp(request.param)) as opened:
        yield opened


@pytest.fixture
def key(storage: Storage, request: pytest.FixtureRequest) -> Iterator[str]:
    """A key that only this test has."""
    name = f"{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:32]}.csv"
    yield name
    storage.delete(name)


def content(size_bytes: int) -> bytes:
    return random.Random(size_bytes).randbytes(size_bytes)


def in_pieces(whole: bytes, piece_bytes: int) -> Iterator[bytes]:
    return (whole[start : start + piece_bytes] for start in range(0, len(whole), piece_bytes))


def read(storage: Storage, key: str, piece_bytes: int = 10_000) -> bytes:
    with storage.open(key) as reader:
        pieces = list(reader.pieces(piece_bytes))
    assert all(0 < len(piece) <= piece_bytes for piece in pieces)
    return b"".join(pieces)


@pytest.mark.parametrize("is_resumable", [False, True], ids=["any way", "resumable"])
@pytest.mark.parametrize("size_bytes", SIZES)
def test_what_is_stored_is_read_back(storage: Storage, key: str, size_bytes: int, is_resumable: bool) -> None:
    whole = content(size_bytes)
    stored = store(storage, key, in_pieces(whole, 50_000), is_resumable=is_resumable)
    assert stored.size_bytes == size_bytes
    assert read(storage, key) == whole


@pytest.mark.parametrize("size_bytes", SIZES)
def test_an_upload_whose_length_is_declared_is_the_same(storage: Storage, key: str, size_bytes: int) -> None:
    whole = content(size_bytes)
    described = Description("text/csv", {"jobId": "x"}, size_bytes, is_resumable=True)
    storage.put(key, in_pieces(whole, CHUNK_BYTES // 3), lambda: described, lambda url: None)
    assert read(storage, key) == whole


@pytest.mark.parametrize("piece_bytes", [1, 7, CHUNK_BYTES, CHUNK_BYTES * 2 + 1])
def test_how_the_pieces_are_cut_does_not_matter(storage: Storage, key: str, piece_bytes: int) -> None:
    whole = content(min(piece_bytes * 1000, CHUNK_BYTES * 2 + 5))
    store(storage, key, [b"", *in_pieces(whole, piece_bytes), b""])
    assert read(storage, key, piece_bytes=65536) == whole


def test_the_etag_follows_the_content(storage: Storage, key: str) -> None:
    first = store(storage, key, [b"abc"])
    second = store(storage, key, [b"abd"])
    assert second.etag != first.etag
    assert read(storage, key) == b"abd"


@pytest.mark.parametrize("size_bytes", [10, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_a_source_that_breaks_leaves_nothing_to_see_and_nothing_after_discarding(
    storage: Storage, key: str, size_bytes: int
) -> None:
    addresses: list[str | None] = []

    def breaking() -> Iterator[bytes]:
        yield from in_pieces(content(size_bytes), 10_000)
        assert not is_there(storage, key)
        raise LookupError("the client's own error")

    with pytest.raises(LookupError):
        storage.put(key, breaking(), lambda: Description("text/csv"), addresses.append)
    assert not is_there(storage, key)
    if size_bytes < CHUNK_BYTES:
        assert addresses == [], "nothing has left us, so there is nothing to discard"
    for _ in range(2):
        storage.discard(key, addresses[0] if addresses else None)
    assert not is_there(storage, key)


def test_discarding_removes_an_object_that_was_complete_after_all(storage: Storage, key: str) -> None:
    addresses: list[str | None] = []
    described = Description("text/csv", is_resumable=True)
    storage.put(key, [content(CHUNK_BYTES + 1)], lambda: described, addresses.append)
    storage.discard(key, addresses[0] if addresses else None)
    assert not is_there(storage, key)


def test_an_upload_that_became_an_object_is_resumed_as_it(storage: Storage, key: str) -> None:
    stored = store(storage, key, [content(CHUNK_BYTES + 1)], is_resumable=True)
    found = complete(storage, key, "/upload/resumable/over", stored.size_bytes)
    assert isinstance(found, StoredObject)
    assert (found.size_bytes, found.etag) == (stored.size_bytes, stored.etag)


def test_an_upload_that_became_an_object_of_another_size_is_lost(storage: Storage, key: str) -> None:
    store(storage, key, [b"abc"])
    with pytest.raises(UploadLost, match="has 3 of 4 bytes"):
        complete(storage, key, "/upload/resumable/over", 4)


def test_an_upload_of_which_nothing_is_left_is_lost(storage: Storage, key: str) -> None:
    with pytest.raises(UploadLost, match=r"Send .* again"):
        found = complete(storage, key, "/upload/resumable/aW1wb3J0cy9hL2I", 4)
        assert not isinstance(found, StoredObject)
        found.wait(10.0)


def test_an_object_that_is_not_there_is_said_to_be_missing(storage: Storage, key: str) -> None:
    with pytest.raises(ObjectMissing):
        read(storage, key)


def test_deleting_is_final_and_may_be_repeated(storage: Storage, key: str) -> None:
    store(storage, key, [b"x"])
    storage.delete(key)
    assert not is_there(storage, key)
    storage.delete(key)


def test_two_readers_do_not_disturb_each_other(storage: Storage, key: str) -> None:
    whole = content(CHUNK_BYTES * 2)
    store(storage, key, [whole])
    with storage.open(key) as one, storage.open(key) as other:
        pairs = list(zip(one.pieces(1000), other.pieces(1000), strict=True))
    assert b"".join(first for first, _ in pairs) == b"".join(second for _, second in pairs) == whole


@pytest.mark.parametrize("offset", [0, 1, CHUNK_BYTES, 3 * CHUNK_BYTES - 1])
def test_an_object_is_read_from_a_byte_on(storage: Storage, key: str, offset: int) -> None:
    whole = content(CHUNK_BYTES * 3)
    store(storage, key, [whole])
    with storage.open(key, offset) as reader:
        assert b"".join(reader.pieces(50_000)) == whole[offset:]


def test_closing_a_reader_ends_its_pieces_with_an_error(storage: Storage, key: str) -> None:
    store(storage, key, [content(CHUNK_BYTES * 3)])
    with storage.open(key) as reader, pytest.raises(StorageUnavailable):
        for _ in reader.pieces(1000):
            reader.close()


def test_a_reader_that_is_left_early_does_no_harm(storage: Storage, key: str) -> None:
    whole = content(CHUNK_BYTES * 3)
    store(storage, key, [whole])
    with storage.open(key) as reader:
        next(reader.pieces(10))
    assert read(storage, key) == whole


def test_many_threads_use_one_storage(storage: Storage, key: str) -> None:
    def use(number: int) -> bool:
        whole, own = content(CHUNK_BYTES + number), f"{number}-{key}"
        store(storage, own, in_pieces(whole, 30_000))
        came_back = read(storage, own) == whole
        storage.delete(own)
        return came_back

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(24)))


def test_preparing_and_checking_may_be_repeated(storage: Storage) -> None:
    for _ in range(2):
        assert storage.prepare().endswith(".")
        storage.check()


# In steps

CSV = Description("text/csv")


def finished(upload: Upload, last: bytes | memoryview = b"") -> StoredObject:
    stored = upload.finish(last)
    if not isinstance(stored, StoredObject):
        stored = stored.wait(30.0)
    assert stored is not None
    return stored


def append_rest(storage: Storage, key: str, address: str, whole: bytes) -> StoredObject:
    """Bring an upload to its end as whoever finds it does, asking again as long as another process may still write."""
    while True:
        upload = storage.resume(key, address)
        assert upload.address == address
        try:
            for chunk, is_last in chunks([whole[upload.offset :]], CHUNK_BYTES):
                if is_last:
                    return finished(upload, chunk)
                upload.append(chunk)
        except StorageUnavailable:
            continue


@pytest.mark.parametrize("declared", [False, True], ids=["length unknown", "length declared"])
@pytest.mark.parametrize("size_bytes", SIZES)
def test_an_object_written_in_steps_is_read_back(storage: Storage, key: str, size_bytes: int, declared: bool) -> None:
    whole = content(size_bytes)
    upload = storage.begin(key, Description("text/csv", {"jobId": "x"}, size_bytes if declared else None))
    for chunk, is_last in chunks([whole], CHUNK_BYTES):
        before = upload.offset
        if is_last:
            stored = finished(upload, chunk)
        else:
            assert upload.append(chunk) == upload.offset == before + CHUNK_BYTES
        assert is_last or not is_there(storage, key)
    assert (stored.size_bytes, upload.offset) == (size_bytes, size_bytes)
    assert read(storage, key) == whole


@pytest.mark.parametrize("declared", [False, True], ids=["length unknown", "length declared"])
def test_an_upload_may_be_finished_without_another_byte(storage: Storage, key: str, declared: bool) -> None:
    upload = storage.begin(key, Description("text/csv", size_bytes=CHUNK_BYTES if declared else None))
    assert upload.append(content(CHUNK_BYTES)) == CHUNK_BYTES
    assert finished(upload).size_bytes == CHUNK_BYTES
    assert read(storage, key) == content(CHUNK_BYTES)


def test_each_step_may_be_taken_by_somebody_else(storage: Storage, key: str) -> None:
    whole = content(3 * CHUNK_BYTES + 7)
    address = storage.begin(key, CSV).address
    for start in range(0, 3 * CHUNK_BYTES, CHUNK_BYTES):
        upload = storage.resume(key, address)
        assert (upload.address, upload.offset) == (address, start)
        upload.append(whole[start : start + CHUNK_BYTES])
    assert finished(storage.resume(key, address), whole[3 * CHUNK_BYTES :]).size_bytes == len(whole)
    assert read(storage, key) == whole


#: Appends its standard input to an upload that it begins, and says its address and each offset.
APPEND = """
import os, sys
from dataflow.config import Config
from dataflow.storage.base import Description
from dataflow.storage.registry import open_storage
key, chunk_bytes, size_bytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
described = Description("text/csv", size_bytes=size_bytes or None)
upload = open_storage(Config.from_env(dict(os.environ))).begin(key, described)
print(upload.address, flush=True)
while chunk := sys.stdin.buffer.read(chunk_bytes):
    print(upload.append(chunk), flush=True)
"""


@pytest.mark.parametrize("declared", [False, True], ids=["length unknown", "length declared"])
@pytest.mark.parametrize("chunks_before", [0, 1, 5])
def test_what_a_process_that_is_killed_has_begun_is_brought_to_its_end_by_another(
    storage: Storage, key: str, chunks_before: int, declared: bool
) -> None:
    whole = content(12 * CHUNK_BYTES + 7)
    command = [sys.executable, "-c", APPEND, key, str(CHUNK_BYTES), str(len(whole) if declared else 0)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=variables_of(storage), **pipes) as process:  # type: ignore[call-overload]
        feeder = threading.Thread(target=feed, args=(process.stdin, whole))
        feeder.start()
        address = process.stdout.readline().decode().strip()
        acknowledged = 0
        for _ in range(chunks_before):
            acknowledged = int(process.stdout.readline())
        process.kill()
        feeder.join()
    assert storage.resume(key, address).offset >= acknowledged == chunks_before * CHUNK_BYTES
    assert append_rest(storage, key, address, whole).size_bytes == len(whole)
    assert read(storage, key) == whole


def feed(pipe: Any, whole: bytes) -> None:
    """Write it all, unless whoever reads is killed."""
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(whole)


def test_a_chunk_of_no_bytes_changes_nothing(storage: Storage, key: str) -> None:
    upload = storage.begin(key, CSV)
    assert upload.append(b"") == 0
    upload.append(content(CHUNK_BYTES))
    assert upload.append(b"") == storage.resume(key, upload.address).append(b"") == CHUNK_BYTES
    assert finished(upload).size_bytes == CHUNK_BYTES


def test_an_upload_is_finished_as_often_as_somebody_asks(storage: Storage, key: str) -> None:
    upload = storage.begin(key, CSV)
    upload.append(content(CHUNK_BYTES))
    first = finished(upload, b"end")
    assert finished(upload) == first
    resumed = storage.resume(key, upload.address)
    assert (resumed.offset, finished(resumed)) == (CHUNK_BYTES + 3, first)


def test_nothing_follows_the_end_of_an_upload(storage: Storage, key: str) -> None:
    upload = storage.begin(key, CSV)
    finished(upload, b"end")
    for late in (upload, storage.resume(key, upload.address)):
        for step in (late.append, late.finish):
            with pytest.raises(StorageError, match="complete with its 3 bytes"):
                step(b"more")
    assert read(storage, key) == b"end"


def test_an_upload_that_was_discarded_is_lost(storage: Storage, key: str) -> None:
    upload = storage.begin(key, CSV)
    upload.append(content(CHUNK_BYTES))
    for _ in range(2):
        storage.discard(key, upload.address)
    steps = (lambda: storage.resume(key, upload.address), lambda: upload.append(b"more"), lambda: upload.finish(b"end"))
    for step in steps:
        with pytest.raises(UploadLost, match="Send the file again"):
            step()
    assert not is_there(storage, key)


def test_two_uploads_of_one_key_do_not_mix_and_the_last_to_be_finished_stays(storage: Storage, key: str) -> None:
    first, second = (storage.begin(key, CSV) for _ in range(2))
    assert first.address != second.address
    for upload, byte in ((first, b"1"), (second, b"2"), (first, b"1")):
        upload.append(byte * CHUNK_BYTES)
    finished(second, b"2")
    finished(first, b"1")
    assert read(storage, key) == b"1" * (2 * CHUNK_BYTES + 1)


def test_of_two_that_append_in_turn_the_second_is_refused_until_it_has_asked(storage: Storage, key: str) -> None:
    upload = storage.begin(key, CSV)
    other = storage.resume(key, upload.address)
    assert upload.append(b"1" * CHUNK_BYTES) == CHUNK_BYTES
    for step in (other.append, other.append, other.finish):
        with pytest.raises(StorageUnavailable, match="another offset than 0"):
            step(b"2" * CHUNK_BYTES)
    assert storage.resume(key, upload.address).append(b"2") == CHUNK_BYTES + 1
    with pytest.raises(StorageUnavailable, match=f"another offset than {CHUNK_BYTES}"):
        upload.append(b"1")
    finished(storage.resume(key, upload.address), b"3")
    assert read(storage, key) == b"1" * CHUNK_BYTES + b"23"


def test_of_two_that_append_at_once_one_is_refused_and_none_of_its_bytes_stay(storage: Storage, key: str) -> None:
    address, expected = storage.begin(key, CSV).address, b""
    together = threading.Barrier(2)

    def append(byte: bytes) -> bytes:
        upload = storage.resume(key, address)
        together.wait(10)
        try:
            upload.append(byte * CHUNK_BYTES)
        except StorageUnavailable:
            return b""
        return byte * CHUNK_BYTES

    with ThreadPoolExecutor(2) as threads:
        for number in range(0, 20, 2):
            written = list(threads.map(append, (bytes([number]), bytes([number + 1]))))
            assert b"" in written
            expected += b"".join(written)
            assert storage.resume(key, address).offset == len(expected)
    assert len(expected) == 10 * CHUNK_BYTES
    finished(storage.resume(key, address))
    assert read(storage, key) == expected
