"""The double of the storage server, driven by clients that we did not write and that know the real one."""

import hashlib
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed
from tusclient.uploader.uploader import Uploader

from tests.doubles.storage.process import StorageDouble
from tests.support.tus_js_client import TusJs
from tests.support.waiting import eventually

pytestmark = pytest.mark.unit

CHUNK_BYTES = 6 << 20
CONTENT = random.Random(20).randbytes(20_000_000)


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageDouble]:
    """One that tells the true URL of an upload: these clients follow it."""
    with StorageDouble.start(tmp_path_factory.mktemp("double"), honest_location=True) as started:
        started.make_bucket("imports")
        yield started


@pytest.fixture
def clean(double: StorageDouble) -> StorageDouble:
    double.clear_faults()
    double.clear_journal()
    return double


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "contacts.csv"
    path.write_bytes(CONTENT)
    return path


def read(double: StorageDouble, key: str) -> bytes:
    url = f"{double.url}/object/authenticated/imports/{key}"
    answer = requests.get(url, headers=double.headers(), timeout=10)
    assert answer.ok, answer.text
    return answer.content


# storage3, the official client


@pytest.fixture
def storage3(clean: StorageDouble) -> Iterator[SyncStorageClient]:
    with httpx.Client() as session:
        yield SyncStorageClient(f"{clean.url}/", clean.headers(), http_client=session)


def test_storage3_makes_changes_and_removes_a_bucket(storage3: SyncStorageClient) -> None:
    storage3.create_bucket("made", options={"public": False, "file_size_limit": 1000})
    bucket = storage3.get_bucket("made")
    assert (bucket.id, bucket.public, bucket.file_size_limit) == ("made", False, 1000)
    storage3.update_bucket("made", {"allowed_mime_types": ["text/csv"]})
    assert storage3.get_bucket("made").allowed_mime_types == ["text/csv"]
    assert {"made", "imports"} <= {found.name for found in storage3.list_buckets()}
    with pytest.raises(StorageApiError) as taken:
        storage3.create_bucket("made")
    assert (taken.value.status, taken.value.code) == ("409", "Duplicate")
    storage3.from_("made").upload("a.csv", b"a", {"content-type": "text/csv"})
    with pytest.raises(StorageApiError, match="not empty"):
        storage3.delete_bucket("made")
    storage3.empty_bucket("made")
    storage3.delete_bucket("made")
    with pytest.raises(StorageApiError, match="Bucket not found"):
        storage3.get_bucket("made")


@pytest.mark.parametrize("source", ["file", "bytes"])
def test_storage3_uploads_and_downloads(source: str, storage3: SyncStorageClient, file: Path) -> None:
    bucket, key = storage3.from_("imports"), f"storage3/{source}.csv"
    options: Any = {"content-type": "text/csv", "cache-control": "60", "metadata": {"job": "1"}}
    uploaded = bucket.upload(key, file if source == "file" else CONTENT, options)
    assert uploaded.full_path == f"imports/{key}"
    assert bucket.download(key) == CONTENT
    assert bucket.exists(key)
    info = bucket.info(key)
    assert (info["size"], info["content_type"], info["cache_control"]) == (len(CONTENT), "text/csv", "max-age=60")
    assert info["metadata"] == {"job": "1"}
    assert info["etag"] == f'"{hashlib.md5(CONTENT).hexdigest()}"'


def test_storage3_replaces_only_when_told(storage3: SyncStorageClient) -> None:
    bucket = storage3.from_("imports")
    bucket.upload("storage3/twice", b"one")
    with pytest.raises(StorageApiError) as taken:
        bucket.upload("storage3/twice", b"two")
    assert (taken.value.status, taken.value.message) == ("409", "The resource already exists")
    bucket.upload("storage3/twice", b"two", {"upsert": "true"})
    bucket.update("storage3/twice", b"three")
    assert bucket.download("storage3/twice") == b"three"


def test_storage3_lists_moves_copies_and_removes(storage3: SyncStorageClient) -> None:
    bucket = storage3.from_("imports")
    for name in ("a", "b", "sub/c"):
        bucket.upload(f"listed/{name}", b"x")
    assert [entry["name"] for entry in bucket.list("listed")] == ["sub", "a", "b"]
    bucket.move("listed/a", "listed/d")
    bucket.copy("listed/d", "listed/e")
    pages = bucket.list_v2({"prefix": "listed/", "limit": 2})
    assert ([found.name for found in pages.objects], pages.hasNext) == (["listed/b", "listed/d"], True)
    gone = bucket.remove(["listed/b", "listed/d", "listed/none"])
    assert [row["name"] for row in gone] == ["listed/b", "listed/d"]
    assert not bucket.exists("listed/b")
    with pytest.raises(StorageApiError, match="Object not found"):
        bucket.download("listed/b")


# tuspy


def uploader(double: StorageDouble, stream: Any, key: str, **options: Any) -> Uploader:
    client = TusClient(f"{double.url}/upload/resumable", headers=double.headers())
    metadata = {"bucketName": "imports", "objectName": key, "contentType": "text/csv"}
    return client.uploader(file_stream=stream, chunk_size=CHUNK_BYTES, metadata=metadata, **options)


def test_tuspy_uploads_in_chunks(clean: StorageDouble, file: Path) -> None:
    with file.open("rb") as stream:
        uploader(clean, stream, "tuspy.csv").upload()
    assert read(clean, "tuspy.csv") == CONTENT
    patches = [entry for entry in clean.journal() if entry["method"] == "PATCH"]
    assert [entry["received_bytes"] for entry in patches] == [CHUNK_BYTES] * 3 + [len(CONTENT) - 3 * CHUNK_BYTES]


def test_tuspy_retries_after_a_reset_and_a_refusal(clean: StorageDouble, file: Path) -> None:
    clean.fault("reset", method="PATCH", skip=1, after_bytes=1_000_000)
    clean.fault("answer", method="PATCH", skip=2, status=503)
    with file.open("rb") as stream:
        uploader(clean, stream, "tuspy-retried.csv", retries=2, retry_delay=0).upload()
    assert read(clean, "tuspy-retried.csv") == CONTENT
    assert [entry["status"] for entry in clean.journal() if entry["method"] == "PATCH"].count(503) == 1


def test_tuspy_resumes_after_the_server_was_killed_in_the_middle_of_a_patch(tmp_path: Path, file: Path) -> None:
    with StorageDouble.start(tmp_path / "own", honest_location=True, bytes_per_second=60e6) as own:
        own.make_bucket("imports")
        with file.open("rb") as stream, ThreadPoolExecutor(1) as pool:
            first = uploader(own, stream, "k")
            running = pool.submit(first.upload)
            eventually(second_patch_under_way(own), every_seconds=0.005)
            own.kill()
            with pytest.raises((TusUploadFailed, TusCommunicationError)):
                running.result()
        own.restart()
        with file.open("rb") as stream:
            again = uploader(own, stream, "k", url=first.url)
            assert CHUNK_BYTES < again.offset < 2 * CHUNK_BYTES
            again.upload()
        assert read(own, "k") == CONTENT


def second_patch_under_way(double: StorageDouble) -> Callable[[], bool]:
    def begun() -> bool:
        patches = [entry["received_bytes"] for entry in double.journal() if entry["method"] == "PATCH"]
        return len(patches) == 2 and 0 < patches[1] < CHUNK_BYTES

    return begun


# tus-js-client


def upload_by_js(tus_js: TusJs, double: StorageDouble, key: str, file: Path, source: str) -> dict[str, Any]:
    metadata = {"bucketName": "imports", "objectName": key, "contentType": "text/csv", "cacheControl": "3600"}
    headers = {**double.headers(), "x-upsert": "true"}
    endpoint = f"{double.url}/upload/resumable"
    return tus_js.upload(endpoint, file, metadata, chunk_bytes=CHUNK_BYTES, source=source, headers=headers)


@pytest.mark.parametrize("source", ["buffer", "stream"])
def test_tus_js_uploads(source: str, tus_js: TusJs, clean: StorageDouble, file: Path) -> None:
    key = f"tus-js-{source}"
    happened = upload_by_js(tus_js, clean, key, file, source)
    assert happened["accepted"] == [CHUNK_BYTES, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES, len(CONTENT)]
    [url] = happened["urls"]
    assert url.startswith(f"{clean.url}/upload/resumable/")
    assert read(clean, key) == CONTENT


def test_tus_js_goes_on_after_a_reset_and_a_lock_that_was_held(tus_js: TusJs, clean: StorageDouble, file: Path) -> None:
    clean.fault("reset", method="PATCH", skip=1, after_bytes=1_000_000)
    clean.fault("answer", method="PATCH", skip=2, status=503, body="acquiring lock timeout", read_body=False)
    happened = upload_by_js(tus_js, clean, "tus-js-retried", file, "buffer")
    assert happened["retried"] == [0, 503]
    assert read(clean, "tus-js-retried") == CONTENT
    assert len([entry for entry in clean.journal() if entry["method"] == "HEAD"]) == 2
