"""Objects as files of one directory: the storage of a machine without Supabase.

Durable and atomic like the real thing: an object is written under a temporary name, synced, then renamed. Sharing
the directory between machines is left to the operator's file system.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from dataflow.errors import ObjectMissing, StorageUnavailable, UploadLost
from dataflow.storage.base import Began, Describe, StoredObject
from dataflow.storage.stop import Stop


class LocalReader:
    """An open file; see `ObjectReader`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def pieces(self, piece_bytes: int) -> Iterator[bytes]:
        with _wrapped("read"):
            while piece := self._file.read(piece_bytes):
                yield piece

    def close(self) -> None:
        self._file.close()

    def describe(self) -> StoredObject:
        return _describe(self._file)


class LocalStorage:
    """A `Storage` in `directory`, which is made on first use, readable by its owner alone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(
        self,
        key: str,
        pieces: Iterable[bytes],
        describe: Describe,  # noqa: ARG002 - a file has no place for it
        began: Began,  # noqa: ARG002 - what fails is removed at once
        stop: Stop | None = None,  # noqa: ARG002 - nobody is waited for
    ) -> StoredObject:
        self._make_directory()
        partial = self._directory / f".{key}.{uuid4().hex}.partial"
        try:
            with _wrapped("written"):
                file = partial.open("xb", buffering=0)
            with file:
                for piece in pieces:
                    with _wrapped("written"):
                        _write_whole(file, piece)
                with _wrapped("written"):
                    os.fsync(file.fileno())
                    stored = _describe(file)
            self._publish(partial, key)
        finally:
            with _wrapped("changed"):
                partial.unlink(missing_ok=True)
        return stored

    def _publish(self, partial: Path, key: str) -> None:
        with _wrapped("written"):
            partial.rename(self._directory / key)
            try:
                self._sync_directory()
            except OSError:
                (self._directory / key).unlink()
                raise

    def resume(self, key: str, upload: str, size_bytes: int) -> StoredObject:  # noqa: ARG002 - none is ever opened
        try:
            with self.open(key) as reader:
                stored = reader.describe()
        except ObjectMissing as error:
            raise UploadLost(f"{error.message} Send the file again.") from error
        if stored.size_bytes != size_bytes:
            raise UploadLost(f"The storage has {stored.size_bytes} of {size_bytes} bytes. Send the file again.")
        return stored

    def discard(
        self,
        key: str,
        upload: str | None,  # noqa: ARG002 - none is ever opened
        is_hurried: bool = False,  # noqa: ARG002 - nobody is waited for
    ) -> None:
        """The parts are what a process that was killed has left; a `put` that fails leaves nothing."""
        with _wrapped("changed"):
            for partial in self._directory.glob(f".{key}.*.partial"):
                partial.unlink(missing_ok=True)
        self.delete(key)

    @contextlib.contextmanager
    def open(self, key: str) -> Iterator[LocalReader]:
        with _wrapped("read"):
            try:
                file = (self._directory / key).open("rb", buffering=0)
            except FileNotFoundError as error:
                raise ObjectMissing(f"The object {key} is not in the local storage any more.") from error
        with contextlib.closing(LocalReader(file)) as reader:
            yield reader

    def delete(self, key: str) -> None:
        with _wrapped("changed"):
            (self._directory / key).unlink(missing_ok=True)

    def check(self) -> None:
        """Write and remove a file."""
        self._make_directory()
        probe = self._directory / f".check-{uuid4().hex}"
        with _wrapped("written"):
            probe.touch()
            probe.unlink()

    def prepare(self) -> str:
        """Nothing to do: the directory is made on first use, by whoever uses it."""
        return f"Objects are kept in {self._directory}."

    def _make_directory(self) -> None:
        with _wrapped("made"):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _sync_directory(self) -> None:
        """Make a rename survive a power cut."""
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_whole(file: BinaryIO, piece: bytes) -> None:
    """An unbuffered write may take less than it is given, when the disk fills up."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def _describe(file: BinaryIO) -> StoredObject:
    status = os.fstat(file.fileno())
    return StoredObject(status.st_size, f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"')


@contextlib.contextmanager
def _wrapped(verb: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        # ValueError: the file was closed by another thread, which is how a read is cancelled.
        reason = error.strerror if isinstance(error, OSError) else error
        raise StorageUnavailable(f"The local storage cannot be {verb}: {reason}.") from error
