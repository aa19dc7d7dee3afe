"""Storages for the tests that every backend has to pass: the local directory, and a Supabase server.

The server is the double, or a real one where SUPABASE_TEST_URL and SUPABASE_TEST_KEY are set: there each test makes a
bucket of its own and removes it.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from dataflow.errors import StorageUnavailable
from dataflow.settings.contradictions import MIN_SUPABASE_CHUNK_BYTES
from dataflow.storage.base import ObjectReader, Observer, Storage, Unobserved
from dataflow.storage.local import LocalStorage
from dataflow.storage.retry import Schedule
from dataflow.storage.supabase import SupabaseStorage
from dataflow.storage.supabase.api import Api
from tests.doubles.storage.process import StorageDouble

REAL_URL = os.environ.get("SUPABASE_TEST_URL", "").rstrip("/")
REAL_KEY = os.environ.get("SUPABASE_TEST_KEY", "")
#: Small, so that many chunks cost little; a real server may keep less than 5 MiB in a volatile place.
CHUNK_BYTES = MIN_SUPABASE_CHUNK_BYTES if REAL_URL else 64 * 1024
IMPATIENT = Schedule((0.0, 0.01, 0.05, 0.1, 0.2))


def open_supabase(
    double: StorageDouble,
    bucket: str = "imports",
    key: str | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    schedule: Schedule = IMPATIENT,
    observer: Observer | None = None,
) -> SupabaseStorage:
    """A storage in a bucket of the double, which need not be there."""
    api = Api(double.url, key or double.key(), bucket, observer or Unobserved())
    return SupabaseStorage(api, schedule, chunk_bytes, cache_seconds=3600)


@contextmanager
def conforming(kind: str, folder: Path) -> Iterator[Storage]:
    """An empty storage of the kind `local` or `supabase`."""
    if kind == "local":
        yield LocalStorage(folder / "objects" / "imports")
    elif REAL_URL:
        with _real_bucket() as storage:
            yield storage
    else:
        with StorageDouble.start(folder / "double") as double:
            storage = open_supabase(double)
            storage.prepare()
            yield storage


def variables_of(storage: Storage) -> dict[str, str]:
    """The settings with which another process opens the same storage."""
    if isinstance(storage, LocalStorage):
        return {"DATA_DIR": str(storage._directory.parents[1])}
    assert isinstance(storage, SupabaseStorage)
    api = storage.api
    names = ("SUPABASE_URL", "STORAGE_URL", "SUPABASE_SERVICE_ROLE_KEY", "STORAGE_BUCKET")
    return dict(zip(names, (api.base_url, api.base_url, api._key, api.bucket), strict=True))


@contextmanager
def _real_bucket() -> Iterator[Storage]:
    bucket, base = f"dataflow-test-{uuid4().hex[:12]}", f"{REAL_URL}/storage/v1"
    storage = SupabaseStorage(Api(base, REAL_KEY, bucket, Unobserved()), Schedule(), CHUNK_BYTES, cache_seconds=3600)
    storage.prepare()
    try:
        yield storage
    finally:
        empty_bucket(base, REAL_KEY, bucket)
        headers = {"Authorization": f"Bearer {REAL_KEY}", "apikey": REAL_KEY}
        requests.delete(f"{base}/bucket/{bucket}", headers=headers, timeout=30).raise_for_status()


def empty_bucket(base_url: str, key: str, bucket: str) -> None:
    """Remove the objects of a bucket, none of which has a slash in its key."""
    headers = {"Authorization": f"Bearer {key}", "apikey": key}
    search = {"prefix": "", "limit": 1000}
    listing = requests.post(f"{base_url}/object/list/{bucket}", json=search, headers=headers, timeout=30)
    if names := [entry["name"] for entry in listing.json()]:
        url = f"{base_url}/object/{bucket}"
        requests.delete(url, json={"prefixes": names}, headers=headers, timeout=30).raise_for_status()


def assert_wakes_when_closed(reader: ObjectReader, pieces: Iterator[bytes], after_seconds: float) -> None:
    """Close `reader` from another thread while `pieces` is waited for: that has to end at once, and with an error."""
    closed_at: list[float] = []

    def close() -> None:
        closed_at.append(time.monotonic())
        reader.close()

    timer = threading.Timer(after_seconds, close)
    timer.start()
    with pytest.raises(StorageUnavailable):
        list(pieces)
    timer.join()
    assert time.monotonic() - closed_at[0] < 3
