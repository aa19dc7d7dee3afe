"""Objects as files of one directory: the storage of a machine without Supabase.

Durable and atomic like the real thing: an object is written as a partial file, synced, then renamed.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from dataflow.errors import ObjectMissing, StorageError, StorageUnavailable, UploadLost
from dataflow.storage.base import Began, Describe, Description, StoredObject
from dataflow.storage.stop import Stop


class LocalReader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def pieces(self, piece_bytes: int) -> Iterator[bytes]:
        with _wrapped("read"):
            while piece := self._file.read(piece_bytes):
                yield piece

    def close(self) -> None:
        self._file.close()


class LocalUpload:
    """An `Upload` into the file `path`, by way of a partial file beside it, whose name is the address."""

    expires_at = None

    def __init__(self, path: Path, address: str) -> None:
        self.address = address
        self.offset = 0
        self._path = path
        self.partial = path.with_name(address)

    def measure(self) -> None:
        """:raises UploadLost: when there is neither the partial file nor the object, to tell the offset."""
        for path in (self.partial, self._path):
            with _wrapped("read"), contextlib.suppress(FileNotFoundError):
                self.offset = path.stat().st_size
                return
        raise UploadLost("The upload is not in the local storage any more. Send the file again.")

    def append(self, chunk: bytes | memoryview, is_awaited: bool = False) -> int:  # noqa: ARG002 - a disk is not waited for
        if chunk:
            with self.open() as file:
                self.write(file, chunk)
        return self.offset

    def finish(self, chunk: bytes | memoryview = b"") -> StoredObject:
        if not chunk and not self.partial.exists():
            self.measure()
            with _wrapped("read"):
                return _describe(self._path.stat())
        with self.open() as file:
            self.write(file, chunk)
            return self.publish(file)

    def open(self) -> BinaryIO:
        """The partial file at its end, for this writer alone; raises like `append`."""
        with contextlib.ExitStack() as opened, _wrapped("written"):
            try:
                file = opened.enter_context(self.partial.open("r+b", buffering=0))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had the lock before may have made an object of the file, or removed it.
                is_same = os.path.samestat(os.fstat(file.fileno()), self.partial.stat())
            except FileNotFoundError:
                self.measure()
                raise StorageError(f"The upload is complete with its {self.offset} bytes.") from None
            if not is_same or file.seek(0, os.SEEK_END) != self.offset:
                raise StorageUnavailable(f"The storage has another offset than {self.offset} for the upload.")
            opened.pop_all()
            return file

    def write(self, file: BinaryIO, chunk: bytes | memoryview) -> None:
        """An unbuffered write may take less than it is given, when the disk fills up."""
        rest = memoryview(chunk)
        with _wrapped("written"):
            try:
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                file.truncate(self.offset)
                raise
        self.offset += len(chunk)

    def publish(self, file: BinaryIO) -> StoredObject:
        with _wrapped("written"):
            os.fsync(file.fileno())
            stored = _describe(os.fstat(file.fileno()))
            self.partial.rename(self._path)
            try:
                # So that the rename survives a power cut.
                _sync_directory(self._path.parent)
            except OSError:
                self._path.unlink()
                raise
        return stored


class LocalStorage:
    """A `Storage` in `directory`, which is made on first use, readable by its owner alone."""

    chunk_bytes = 1 << 20  #: any number would do; a small one is written while the next is received

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
        upload = self.begin(key)
        try:
            with upload.open() as file:
                for piece in pieces:
                    upload.write(file, piece)
                return upload.publish(file)
        finally:
            with _wrapped("changed"):
                upload.partial.unlink(missing_ok=True)

    def begin(
        self,
        key: str,
        description: Description | None = None,  # noqa: ARG002 - see `put`
        stop: Stop | None = None,  # noqa: ARG002 - see `put`
    ) -> LocalUpload:
        self._make_directory()
        address = f".{key}.{uuid4().hex}.partial"
        with _wrapped("written"):
            (self._directory / address).touch(exist_ok=False)
        return LocalUpload(self._directory / key, address)

    def resume(self, key: str, address: str, stop: Stop | None = None) -> LocalUpload:  # noqa: ARG002 - see `put`
        is_partial = re.fullmatch(rf"\.{re.escape(key)}\.\w+\.partial", address)
        upload = LocalUpload(self._directory / key, address if is_partial else f".{key}.partial")
        upload.measure()
        return upload

    def discard(self, key: str, address: str | None, is_hurried: bool = False) -> None:  # noqa: ARG002
        """A process that was killed has told nobody of its partial file: all of the key are removed."""
        with _wrapped("changed"):
            for partial in self._directory.glob(f".{key}.*.partial"):
                partial.unlink(missing_ok=True)
        self.delete(key)

    @contextlib.contextmanager
    def open(
        self,
        key: str,
        offset: int = 0,
        patience_seconds: float | None = None,  # noqa: ARG002 - see `put`
    ) -> Iterator[LocalReader]:
        with _wrapped("read"):
            try:
                file = (self._directory / key).open("rb", buffering=0)
            except FileNotFoundError as error:
                raise ObjectMissing(f"The object {key} is not in the local storage any more.") from error
        with contextlib.closing(LocalReader(file)) as reader:
            file.seek(offset)
            yield reader

    def delete(self, key: str) -> None:
        with _wrapped("changed"):
            (self._directory / key).unlink(missing_ok=True)

    def check(self) -> None:
        self._make_directory()
        probe = self._directory / f".check-{uuid4().hex}"
        with _wrapped("written"):
            probe.touch()
            probe.unlink()

    def prepare(self) -> str:
        return f"Objects are kept in {self._directory}."

    def _make_directory(self) -> None:
        with _wrapped("made"):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _describe(status: os.stat_result) -> StoredObject:
    return StoredObject(status.st_size, f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"')


@contextlib.contextmanager
def _wrapped(verb: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        # ValueError: the file was closed by another thread, which is how a read is cancelled.
        reason = error.strerror if isinstance(error, OSError) else error
        raise StorageUnavailable(f"The local storage cannot be {verb}: {reason}.") from error
