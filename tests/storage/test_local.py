"""Objects in a local directory: whole or not at all, private, and every failure one of our errors."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflow.errors import ObjectMissing, StorageError, StorageUnavailable, UploadLost
from dataflow.storage.base import Description
from dataflow.storage.local import LocalStorage
from tests.support.objects import store

pytestmark = pytest.mark.unit

CSV = Description("text/csv")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "objects" / "imports"


@pytest.fixture
def storage(directory: Path) -> LocalStorage:
    return LocalStorage(directory)


def put(storage: LocalStorage, *pieces: bytes) -> None:
    store(storage, "k.csv", pieces)


def read(storage: LocalStorage, piece_bytes: int = 3) -> list[bytes]:
    with storage.open("k.csv") as reader:
        return list(reader.pieces(piece_bytes))


def test_an_object_comes_back_in_pieces_of_the_size_asked_for(storage: LocalStorage) -> None:
    put(storage, b"abcd", b"", b"efgh")
    assert read(storage) == [b"abc", b"def", b"gh"]


def test_size_and_etag_describe_the_content(storage: LocalStorage) -> None:
    first = store(storage, "k.csv", [b"abc"])
    assert first.size_bytes == 3
    second = store(storage, "k.csv", [b"abd"], is_resumable=True)
    assert second.etag != first.etag


def test_nothing_is_visible_before_the_last_piece_and_nothing_left_when_the_source_breaks(
    storage: LocalStorage, directory: Path
) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"begun"
        with pytest.raises(ObjectMissing):
            read(storage)
        raise LookupError("the client's own error")

    with pytest.raises(LookupError):
        store(storage, "k.csv", breaking())
    assert list(directory.iterdir()) == []


def test_objects_are_readable_by_their_owner_alone(storage: LocalStorage, directory: Path) -> None:
    put(storage, b"x")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_deleting_is_final_and_may_be_repeated(storage: LocalStorage) -> None:
    put(storage, b"x")
    storage.delete("k.csv")
    storage.delete("k.csv")
    with pytest.raises(ObjectMissing, match=r"k\.csv"):
        read(storage)


def test_closing_a_reader_ends_its_pieces_with_an_error(storage: LocalStorage) -> None:
    put(storage, b"abcdef")
    with storage.open("k.csv") as reader, pytest.raises(StorageUnavailable):
        for _ in reader.pieces(2):
            reader.close()


def test_a_directory_that_cannot_be_made_is_an_unavailable_storage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    storage = LocalStorage(tmp_path / "file" / "objects")
    for call in (storage.check, lambda: put(storage, b"x"), lambda: storage.delete("k.csv")):
        with pytest.raises(StorageUnavailable):
            call()


def test_a_check_leaves_nothing_behind(storage: LocalStorage, directory: Path) -> None:
    storage.check()
    assert list(directory.iterdir()) == []


def test_an_object_that_may_not_survive_a_power_cut_is_not_kept(
    storage: LocalStorage, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_sync = os.fsync

    def fail_for_directories(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real_sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_directories)
    with pytest.raises(StorageUnavailable, match="Input/output error"):
        put(storage, b"x")
    assert list(directory.iterdir()) == []


def test_discarding_removes_what_a_killed_process_has_left(storage: LocalStorage, directory: Path) -> None:
    put(storage, b"x")
    (directory / ".k.csv.0123.partial").write_bytes(b"half")
    (directory / ".other.csv.0123.partial").write_bytes(b"half")
    storage.discard("k.csv", None)
    assert [path.name for path in directory.iterdir()] == [".other.csv.0123.partial"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_an_unavailable_storage_and_leaves_no_part(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs {mount}") != 0:
        pytest.skip("mounting is not allowed here")
    try:
        storage = LocalStorage(mount / "objects")
        with pytest.raises(StorageUnavailable, match="No space left"):
            put(storage, *[bytes(65536)] * 32)
        assert list((mount / "objects").iterdir()) == []
        upload = storage.begin("k.csv", CSV)
        upload.append(bytes(1 << 19))
        with pytest.raises(StorageUnavailable, match="No space left"):
            upload.append(bytes(1 << 20))
        assert upload.append(b"end") == storage.resume("k.csv", upload.address).offset == (1 << 19) + 3
    finally:
        assert os.system(f"umount {mount}") == 0


def test_an_upload_that_somebody_is_writing_to_is_left_alone(storage: LocalStorage, directory: Path) -> None:
    upload = storage.begin("k.csv", CSV)
    with (directory / upload.address).open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for step in (upload.append, upload.finish):
            with pytest.raises(StorageUnavailable):
                step(b"x")
    assert upload.append(b"x") == 1


def test_an_object_that_somebody_has_just_finished_is_not_appended_to(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = storage.begin("k.csv", CSV)
    other, real_lock = storage.resume("k.csv", upload.address), fcntl.flock

    def finish_first(file: object, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", real_lock)
        other.finish()
        real_lock(file, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", finish_first)
    with pytest.raises(StorageError, match="complete with its 0 bytes"):
        upload.append(b"x")
    assert read(storage) == []


@pytest.mark.parametrize("address", ["other.csv", ".other.csv.0123.partial", "../imports/other.csv", "", ".", ".."])
def test_an_address_that_is_none_of_the_key_leads_nowhere(storage: LocalStorage, directory: Path, address: str) -> None:
    store(storage, "other.csv", [b"x"])
    (directory / ".other.csv.0123.partial").write_bytes(b"half")
    with pytest.raises(UploadLost):
        storage.resume("k.csv", address)


def test_an_upload_that_is_left_open_is_removed_by_discarding(storage: LocalStorage, directory: Path) -> None:
    storage.begin("k.csv", CSV).append(b"x")
    storage.discard("k.csv", storage.begin("k.csv", CSV).address)
    assert list(directory.iterdir()) == []
