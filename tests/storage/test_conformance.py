"""What every storage does alike: the same tests over the local directory and over Supabase's protocol."""

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataflow.errors import ObjectMissing, StorageUnavailable, UploadLost
from dataflow.storage.base import Description, Storage, StoredObject
from tests.support.objects import is_there, store
from tests.support.storages import CHUNK_BYTES, conforming

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
    found = storage.resume(key, "/upload/resumable/over", stored.size_bytes)
    assert isinstance(found, StoredObject)
    assert (found.size_bytes, found.etag) == (stored.size_bytes, stored.etag)


def test_an_upload_that_became_an_object_of_another_size_is_lost(storage: Storage, key: str) -> None:
    store(storage, key, [b"abc"])
    with pytest.raises(UploadLost, match="has 3 of 4 bytes"):
        storage.resume(key, "/upload/resumable/over", 4)


def test_an_upload_of_which_nothing_is_left_is_lost(storage: Storage, key: str) -> None:
    with pytest.raises(UploadLost, match=r"Send .* again"):
        found = storage.resume(key, "/upload/resumable/aW1wb3J0cy9hL2I", 4)
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
