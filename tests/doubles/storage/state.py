"""Buckets and objects, in memory and on disk. An object becomes visible, and is replaced, in one step.

The bytes of a version are a file named by it, written by whoever receives them; `uploads` keeps those of TUS uploads
in the same place, so that completing one moves nothing and deleting the object takes the upload's bytes as well.
"""

import hashlib
import threading
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from tests.doubles.storage.disk import read_all_json, write_json


def timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Bucket:
    id: str
    name: str
    public: bool
    file_size_limit: int | None
    allowed_mime_types: list[str] | None
    created_at: str
    updated_at: str
    owner: str = ""


@dataclass(slots=True)
class StoredObject:
    bucket: str
    key: str
    version: str
    size_bytes: int
    content_type: str
    cache_control: str
    metadata: dict[str, Any] | None  #: the user's
    etag: str | None  #: None: the quoted MD5 of the content, not worked out yet
    id: str = ""
    created_at: str = ""
    updated_at: str = ""


class State:
    """Everything that is stored. Safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self._bytes = folder / "bytes"
        self._bytes.mkdir(parents=True, exist_ok=True)
        self.buckets = {row["id"]: Bucket(**row) for row in read_all_json(folder / "buckets")}
        rows = [StoredObject(**row) for row in read_all_json(folder / "objects")]
        self.objects = {(row.bucket, row.key): row for row in rows}

    def put_bucket(self, bucket: Bucket) -> None:
        with self.lock:
            self.buckets[bucket.id] = bucket
            write_json(self._row_path("buckets", bucket.id), asdict(bucket))

    def remove_bucket(self, bucket_id: str) -> None:
        with self.lock:
            del self.buckets[bucket_id]
            self._row_path("buckets", bucket_id).unlink()

    def new_version(self) -> str:
        return str(uuid4())

    def bytes_path(self, version: str) -> Path:
        return self._bytes / version

    def commit(self, row: StoredObject) -> StoredObject:
        """Make an object visible, in place of one with its key, which hands down its id and its date of creation."""
        with self.lock:
            old = self.objects.get((row.bucket, row.key))
            now = timestamp()
            kept = (old.id, old.created_at) if old else (str(uuid4()), now)
            row = replace(row, id=kept[0], created_at=kept[1], updated_at=now)
            self._save(row)
            if old and old.version != row.version:
                self.bytes_path(old.version).unlink(missing_ok=True)
            return row

    def remove(self, row: StoredObject) -> bool:
        """False when it is not there any more."""
        with self.lock:
            if self.objects.pop((row.bucket, row.key), None) is None:
                return False
            self._row_path("objects", row.bucket, row.key).unlink()
            self.bytes_path(row.version).unlink(missing_ok=True)
            return True

    def move(self, row: StoredObject, bucket: str, key: str) -> None:
        with self.lock:
            del self.objects[row.bucket, row.key]
            self._row_path("objects", row.bucket, row.key).unlink()
            self._save(replace(row, bucket=bucket, key=key, updated_at=timestamp()))

    def find(self, bucket: str, key: str) -> StoredObject | None:
        return self.objects.get((bucket, key))

    def in_bucket(self, bucket: str) -> list[StoredObject]:
        with self.lock:
            return sorted((row for row in self.objects.values() if row.bucket == bucket), key=lambda row: row.key)

    def open(self, row: StoredObject) -> tuple[StoredObject, BinaryIO] | None:
        """The object as it is now, its bytes open: deleting or replacing it does not disturb the reader."""
        with self.lock:
            now = self.objects.get((row.bucket, row.key))
            return (now, self.bytes_path(now.version).open("rb", buffering=0)) if now else None

    def etag(self, row: StoredObject) -> str:
        """The real server hashes the file at each read; once is enough here.

        :raises FileNotFoundError: when the object has been removed meanwhile.
        """
        if row.etag is None:
            with self.bytes_path(row.version).open("rb", buffering=0) as file:
                etag = f'"{hashlib.file_digest(file, "md5").hexdigest()}"'
            with self.lock:
                row.etag = etag
                if self.objects.get((row.bucket, row.key)) is row:
                    self._save(row)
        return row.etag

    def forget_bytes_except(self, versions: Collection[str]) -> None:
        """Remove what uploads left that the server's death has ended, keeping objects and `versions`."""
        known = {row.version for row in self.objects.values()} | set(versions)
        for path in self._bytes.iterdir():
            if path.name not in known:
                path.unlink()

    def _save(self, row: StoredObject) -> None:
        write_json(self._row_path("objects", row.bucket, row.key), asdict(row))
        self.objects[row.bucket, row.key] = row

    def _row_path(self, kind: str, *name: str) -> Path:
        return self.folder / kind / (hashlib.sha256("/".join(name).encode()).hexdigest() + ".json")
