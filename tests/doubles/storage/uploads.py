"""TUS uploads on disk, and the lock on each: its offset is the size of its file, as the real file backend has it."""

import base64
import binascii
import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.doubles.storage.disk import read_all_json, write_json
from tests.doubles.storage.state import State


class LockTimeout(Exception):
    """Somebody else kept the upload for too long."""


@dataclass(slots=True)
class Upload:
    version: str
    bucket: str
    key: str
    length_bytes: int | None  #: None as long as it is deferred
    metadata_header: str
    created: float  #: seconds since the epoch
    parts: int = 0

    @property
    def id(self) -> str:
        name = f"{self.bucket}/{self.key}/{self.version}"
        return base64.urlsafe_b64encode(name.encode()).rstrip(b"=").decode()


class UploadLock:
    """Held by one request at a time; a waiting one asks the holder to come to an end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = False
        self._waiting = 0
        self._asked: float | None = None

    @contextlib.contextmanager
    def hold(self, timeout_seconds: float) -> Iterator[None]:
        """:raises LockTimeout: when it cannot be had in time."""
        with self._changed:
            self._waiting += 1
            self._asked = self._asked or (time.monotonic() if self._held else None)
            got_it = self._changed.wait_for(lambda: not self._held, timeout_seconds)
            self._waiting -= 1
            if not got_it:
                raise LockTimeout
            self._held = True
            self._asked = time.monotonic() if self._waiting else None
        try:
            yield
        finally:
            with self._changed:
                self._held = False
                self._changed.notify_all()

    def must_end(self, drain_seconds: float) -> Callable[[], bool]:
        """True once somebody else has been waiting for `drain_seconds`."""
        return lambda: self._asked is not None and time.monotonic() >= self._asked + drain_seconds


class Uploads:
    """All uploads, finished ones included. Safe to use from many threads."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._folder = state.folder / "uploads"
        self._uploads = {row["version"]: Upload(**row) for row in read_all_json(self._folder)}
        self._locks: dict[str, UploadLock] = {}
        self._digests: dict[str, tuple[hashlib._Hash, int]] = {}
        self._lock = threading.Lock()
        state.forget_bytes_except(self._uploads)

    def create(self, upload: Upload) -> None:
        self.path(upload).touch()
        self.save(upload)

    def save(self, upload: Upload) -> None:
        self._uploads[upload.version] = upload
        write_json(self._folder / f"{upload.version}.json", asdict(upload))

    def find(self, upload_id: str) -> Upload | None:
        """None when it is unknown or was terminated.

        :raises ValueError: when that can be the name of none.
        """
        try:
            name = base64.urlsafe_b64decode(upload_id + "=" * (-len(upload_id) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError("not an upload's name") from error
        if name.count("/") < 2:
            raise ValueError("not an upload's name")
        return self._uploads.get(name.rpartition("/")[2])

    def path(self, upload: Upload) -> Path:
        return self._state.bytes_path(upload.version)

    def offset(self, upload: Upload) -> int | None:
        """None when its bytes are gone."""
        try:
            return self.path(upload).stat().st_size
        except FileNotFoundError:
            return None

    def set_back(self, upload: Upload, lost_bytes: int) -> None:
        with self.path(upload).open("r+b") as file:
            file.truncate(max(0, (self.offset(upload) or 0) - lost_bytes))

    def forget(self, upload: Upload) -> None:
        """Remove its bytes but not the memory of it."""
        self.path(upload).unlink(missing_ok=True)

    def terminate(self, upload: Upload) -> None:
        self.forget(upload)
        self._uploads.pop(upload.version, None)
        (self._folder / f"{upload.version}.json").unlink(missing_ok=True)

    def lock(self, upload_id: str) -> UploadLock:
        with self._lock:
            return self._locks.setdefault(upload_id, UploadLock())

    def digest(self, upload: Upload, offset: int) -> "hashlib._Hash | None":
        """The MD5 of the first `offset` bytes, to go on with, as long as this process saw all of them."""
        digest, digested_bytes = self._digests.pop(upload.version, (hashlib.md5(), 0))
        return digest if digested_bytes == offset else None

    def keep_digest(self, upload: Upload, digest: "hashlib._Hash", offset: int) -> None:
        self._digests[upload.version] = (digest, offset)
