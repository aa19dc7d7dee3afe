"""What is particular to Supabase Storage: refusals told apart, what objects are stored with, bucket and metrics."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from dataflow import db
from dataflow.config import Config
from dataflow.errors import (
    BucketMissing,
    DataFlowError,
    ObjectMissing,
    ObjectTooLarge,
    StorageDenied,
    StorageError,
    StorageUnavailable,
    UnsupportedMediaType,
    UploadLost,
)
from dataflow.storage.base import Description, Observer, Storage
from dataflow.storage.registry import open_storage
from dataflow.storage.retry import Schedule
from dataflow.storage.supabase import upload
from tests.doubles.storage.process import StorageDouble
from tests.support.objects import read, store
from tests.support.processes import free_port
from tests.support.storages import CHUNK_BYTES, IMPATIENT, open_supabase

KEY = "k.csv"
MIB = 1 << 20
SMALL = b"name,email\n"


class Notes(Observer):
    """An observer that keeps everything it is told."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str]] = []
        self.seconds: list[float] = []
        self.moves: list[tuple[str, int]] = []
        self.retries: list[str] = []

    def answered(self, operation: str, outcome: str, seconds: float) -> None:
        self.answers.append((operation, outcome))
        self.seconds.append(seconds)

    def moved(self, direction: str, size_bytes: int) -> None:
        self.moves.append((direction, size_bytes))

    def retried(self, operation: str) -> None:
        self.retries.append(operation)


def put(storage: Storage, size_bytes: int, declared: bool = False, content_type: str = "text/csv") -> None:
    described = Description(content_type, size_bytes=size_bytes if declared else None)
    storage.put(KEY, [bytes(size_bytes)], lambda: described, lambda url: None)


def use_every_operation(storage: Storage) -> dict[str, DataFlowError]:
    """What each operation answers, which must be an error."""
    calls: dict[str, Callable[[], object]] = {
        "check": storage.check,
        "put": lambda: store(storage, KEY, [SMALL]),
        "put in chunks": lambda: put(storage, CHUNK_BYTES + 1),
        "open": lambda: read(storage, KEY),
        "delete": lambda: storage.delete(KEY),
    }
    errors = {}
    for name, call in calls.items():
        with pytest.raises(DataFlowError) as caught:
            call()
        errors[name] = caught.value
    return errors


@pytest.mark.unit
@pytest.mark.parametrize("key", ["expired", "of another project", "no JWT"])
def test_a_wrong_key_is_told_as_such_by_every_operation_and_not_tried_again(
    key: str, fresh_double: StorageDouble
) -> None:
    keys = {
        "expired": fresh_double.key(expires_in_seconds=-5),
        "of another project": fresh_double.key(secret="x" * 40),
        "no JWT": "sb_secret_abcdefghijklmnop",
    }
    storage = open_supabase(fresh_double, key=keys[key])
    for name, error in use_every_operation(storage).items():
        assert isinstance(error, StorageDenied), (name, error)
        assert not error.retryable
        assert "SUPABASE_SERVICE_ROLE_KEY" in error.message
        assert keys[key] not in error.message
    assert len(fresh_double.journal()) == 5, "one request each"


@pytest.mark.unit
def test_a_missing_bucket_is_told_as_such(fresh_double: StorageDouble) -> None:
    storage = open_supabase(fresh_double, bucket="nowhere")
    errors = use_every_operation_with_objects_missing(storage)
    assert errors == {"check": BucketMissing, "put": BucketMissing, "put in chunks": BucketMissing}
    with pytest.raises(BucketMissing, match=r"no bucket nowhere \(STORAGE_BUCKET\).*run `dataflow migrate`"):
        storage.check()


def use_every_operation_with_objects_missing(storage: Storage) -> dict[str, type[DataFlowError]]:
    errors = {}
    for name, call in {
        "check": storage.check,
        "put": lambda: store(storage, KEY, [SMALL]),
        "put in chunks": lambda: put(storage, CHUNK_BYTES + 1),
    }.items():
        with pytest.raises(DataFlowError) as caught:
            call()
        errors[name] = type(caught.value)
    return errors


@pytest.mark.unit
def test_a_server_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    config = Config.from_env(
        {
            "SUPABASE_URL": f"http://127.0.0.1:{free_port()}",
            "SUPABASE_SERVICE_ROLE_KEY": "k",
            "UPLOAD_RETRY_SECONDS": "0",
        }
    )
    for name, error in use_every_operation(open_storage(config)).items():
        assert isinstance(error, StorageUnavailable), name
        assert error.retryable
        assert error.message == "The storage does not answer: Connection refused."


@pytest.mark.unit
@pytest.mark.parametrize("declared", [False, True], ids=["length unknown", "length declared"])
@pytest.mark.parametrize("size_bytes", [200_000, 3 * MIB, 10 * MIB])
def test_a_file_beyond_the_limit_of_the_bucket_is_refused_with_the_limit(
    size_bytes: int, declared: bool, fresh_double: StorageDouble
) -> None:
    bucket = f"limited-{size_bytes}-{declared}"
    fresh_double.make_bucket(bucket, file_size_limit=100_000)
    # 3 MiB go as one request, which the server refuses without reading it: see SupabaseUpload._send_single.
    storage = open_supabase(fresh_double, bucket=bucket, chunk_bytes=6 * MIB)
    said = re.escape(f"larger than 100000 bytes, the limit of the bucket {bucket} (file_size_limit)")
    with pytest.raises(ObjectTooLarge, match=said) as caught:
        put(storage, size_bytes, declared)
    assert (caught.value.status, caught.value.retryable) == (413, False)


@pytest.mark.unit
@pytest.mark.parametrize("declared", [False, True], ids=["length unknown", "length declared"])
def test_a_limit_between_one_chunk_and_the_length_of_the_file_is_told_as_the_limit(
    declared: bool, fresh_double: StorageDouble
) -> None:
    bucket = f"between-{declared}"
    fresh_double.make_bucket(bucket, file_size_limit=2 * CHUNK_BYTES)
    storage = open_supabase(fresh_double, bucket=bucket)
    said = re.escape(f"larger than {2 * CHUNK_BYTES} bytes, the limit of the bucket {bucket} (file_size_limit)")
    with pytest.raises(ObjectTooLarge, match=said):
        put(storage, 4 * CHUNK_BYTES, declared)
    sent_bytes = sum(entry["received_bytes"] for entry in fresh_double.journal() if entry["method"] == "PATCH")
    assert (sent_bytes > 0) is not declared, "a declared length is refused before any byte"


@pytest.mark.unit
def test_a_key_without_a_role_is_noticed_by_the_check_although_it_sees_the_bucket(fresh_double: StorageDouble) -> None:
    storage = open_supabase(fresh_double, key=fresh_double.token(sub="x"))
    with pytest.raises(StorageDenied, match="SUPABASE_SERVICE_ROLE_KEY"):
        storage.check()


@pytest.mark.unit
def test_a_check_leaves_nothing(fresh_double: StorageDouble) -> None:
    def files() -> set[Path]:
        return {path for path in fresh_double.folder.rglob("*") if path.is_file()}

    before = files()
    open_supabase(fresh_double).check()
    assert files() == before


@pytest.mark.unit
def test_a_file_beyond_the_limit_of_the_server_is_refused_with_the_limit(tmp_path: Path) -> None:
    with StorageDouble.start(tmp_path, global_limit=200_000) as double:
        double.make_bucket("imports")
        with pytest.raises(ObjectTooLarge, match="larger than 200000 bytes, the limit of the storage server"):
            put(open_supabase(double), 300_000)


@pytest.mark.unit
@pytest.mark.parametrize("size_bytes", [10, 3 * CHUNK_BYTES])
def test_a_type_that_the_bucket_does_not_take_is_refused(size_bytes: int, fresh_double: StorageDouble) -> None:
    bucket = f"csv-only-{size_bytes}"
    fresh_double.make_bucket(bucket, allowed_mime_types=["text/csv"])
    storage = open_supabase(fresh_double, bucket=bucket)
    put(storage, size_bytes)
    with pytest.raises(UnsupportedMediaType, match="application/json"):
        put(storage, size_bytes, content_type="application/json")


@pytest.mark.unit
def test_an_error_is_quoted_briefly_and_without_the_key(fresh_double: StorageDouble) -> None:
    key = fresh_double.key()
    fresh_double.fault("answer", status=418, body=f"You said Bearer {key}\n" + "x" * 5000)
    with pytest.raises(StorageError) as caught:
        open_supabase(fresh_double, key=key).check()
    assert key not in caught.value.message
    assert key[-20:] not in caught.value.message
    assert "You said Bearer *** xxx" in caught.value.message
    assert len(caught.value.message) < 300


@pytest.mark.unit
def test_a_redirect_is_not_followed_with_the_key(fresh_double: StorageDouble) -> None:
    fresh_double.fault("answer", status=301, headers={"Location": "http://elsewhere.example/"})
    with pytest.raises(StorageError, match="correct SUPABASE_URL or STORAGE_URL"):
        open_supabase(fresh_double).check()


@pytest.mark.unit
def test_the_storage_is_asked_with_our_key_whatever_a_netrc_file_says(
    fresh_double: StorageDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    open_supabase(fresh_double).check()


@pytest.mark.unit
@pytest.mark.parametrize("is_resumable", [False, True], ids=["standard", "tus"])
def test_an_object_is_stored_with_type_cache_time_and_metadata(is_resumable: bool, fresh_double: StorageDouble) -> None:
    metadata = {"jobId": "7", "contentType": "text/csv", "fileName": "Kontakte März 😀.csv"}
    described = Description("text/csv", metadata, is_resumable=is_resumable)
    open_supabase(fresh_double).put(KEY, [SMALL], lambda: described, lambda url: None)
    found = requests.get(
        f"{fresh_double.url}/object/info/authenticated/imports/{KEY}", headers=fresh_double.headers(), timeout=10
    ).json()
    assert (found["content_type"], found["cache_control"]) == ("text/csv", "max-age=3600")
    assert found["metadata"] == metadata


@pytest.mark.unit
@pytest.mark.parametrize(
    ("size_bytes", "is_resumable", "methods"),
    [
        (CHUNK_BYTES, False, ["POST", "GET"]),
        (CHUNK_BYTES, True, ["POST", "PATCH", "GET"]),
        (CHUNK_BYTES + 1, False, ["POST", "PATCH", "PATCH", "GET"]),
    ],
)
def test_one_chunk_is_one_request_and_more_are_a_tus_upload(
    size_bytes: int, is_resumable: bool, methods: list[str], fresh_double: StorageDouble
) -> None:
    store(open_supabase(fresh_double), KEY, [bytes(size_bytes)], is_resumable=is_resumable)
    journal = fresh_double.journal()
    assert [entry["method"] for entry in journal] == methods
    assert all("transfer-encoding" not in entry["headers"] for entry in journal)
    assert all(entry["headers"]["x-upsert"] == "true" for entry in journal[:-1])
    assert {entry["headers"]["accept-encoding"] for entry in journal} == {"identity"}


@pytest.mark.unit
def test_the_s3_backend_takes_the_same_uploads(tmp_path: Path) -> None:
    with StorageDouble.start(tmp_path, s3=True) as double:
        double.make_bucket("imports")
        storage = open_supabase(double)
        for size_bytes in (0, 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 1):
            for size_declared in (None, size_bytes):
                described = Description("text/csv", size_bytes=size_declared, is_resumable=True)
                stored = storage.put(KEY, [bytes(size_bytes)], lambda about=described: about, lambda url: None)
                assert (stored.size_bytes, read(storage, KEY)) == (size_bytes, bytes(size_bytes))


@pytest.mark.unit
def test_preparing_makes_a_private_bucket_and_leaves_one_that_is_there(fresh_double: StorageDouble) -> None:
    storage = open_supabase(fresh_double, bucket="made")
    assert storage.prepare() == "The bucket made was made."
    assert storage.prepare() == "The bucket made is there."
    found = requests.get(f"{fresh_double.url}/bucket/made", headers=fresh_double.headers(), timeout=10).json()
    assert found["public"] is False


@pytest.mark.unit
def test_preparing_makes_a_public_bucket_private_and_changes_nothing_else(fresh_double: StorageDouble) -> None:
    fresh_double.make_bucket("open-to-all", public=True, file_size_limit=10_000_000, allowed_mime_types=["text/csv"])
    assert "is private now" in open_supabase(fresh_double, bucket="open-to-all").prepare()
    url = f"{fresh_double.url}/bucket/open-to-all"
    found = requests.get(url, headers=fresh_double.headers(), timeout=10).json()
    assert (found["public"], found["file_size_limit"]) == (False, 10_000_000)
    assert found["allowed_mime_types"] == ["text/csv"]


@pytest.mark.unit
def test_preparing_tolerates_that_another_process_is_faster(fresh_double: StorageDouble) -> None:
    fresh_double.fault(
        "answer", method="GET", path="/bucket/imports", status=400, body={"statusCode": "404", "code": "NoSuchBucket"}
    )
    assert open_supabase(fresh_double).prepare() == "The bucket imports was made."


def test_the_statement_for_those_who_use_sql_makes_the_same_bucket(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA storage")
        connection.execute(
            "CREATE TABLE storage.buckets (id text PRIMARY KEY, name text NOT NULL UNIQUE, public boolean)"
        )
        for _ in range(2):
            connection.execute((db.SQL / "supabase" / "create_bucket.sql").read_bytes())
        assert connection.execute("SELECT id, name, public FROM storage.buckets").fetchall() == [
            (Config.from_env({}).storage_bucket, "imports", False)
        ]


@pytest.mark.unit
def test_a_limit_of_something_in_front_is_not_taken_for_one_of_the_storage(fresh_double: StorageDouble) -> None:
    fresh_double.fault("answer", method="PATCH", status=413, body="<html>Request Entity Too Large</html>")
    with pytest.raises(StorageError, match="in front of the storage does not take requests of") as caught:
        put(open_supabase(fresh_double), 2 * CHUNK_BYTES)
    assert (caught.value.status, "UPLOAD_CHUNK_SIZE" in caught.value.message) == (503, True)


@pytest.mark.unit
def test_failures_are_observed_by_their_true_status(fresh_double: StorageDouble) -> None:
    notes = Notes()
    with pytest.raises(ObjectMissing):
        read(open_supabase(fresh_double, observer=notes), "missing")
    with pytest.raises(StorageDenied):
        open_supabase(fresh_double, key=fresh_double.key(expires_in_seconds=-5), observer=notes).check()
    assert notes.answers == [("download", "404"), ("bucket", "403")]


@pytest.mark.unit
def test_what_happens_is_observed(fresh_double: StorageDouble) -> None:
    notes = Notes()
    storage = open_supabase(fresh_double, observer=notes)
    fresh_double.fault("answer", method="PATCH", status=544)
    fresh_double.fault("cut", method="GET", path="/object/authenticated", after_bytes=1000)
    put(storage, CHUNK_BYTES + 1)
    with storage.open(KEY) as reader:
        size_bytes = sum(map(len, reader.pieces(65536)))
    storage.delete(KEY)
    assert size_bytes == CHUNK_BYTES + 1
    assert notes.answers == [
        *[("tus_create", "ok"), ("tus_patch", "544"), ("tus_offset", "ok"), ("tus_patch", "ok"), ("tus_patch", "ok")],
        *[("info", "ok"), ("download", "broken"), ("download", "ok"), ("delete", "ok")],
    ]
    assert notes.retries == ["tus_patch", "download"]
    for direction in ("up", "down"):
        assert sum(size for moved, size in notes.moves if moved == direction) == CHUNK_BYTES + 1
    assert all(0 < seconds < 30 for seconds in notes.seconds)


@pytest.mark.unit
def test_settings_choose_the_storage_and_where_it_is(fresh_double: StorageDouble) -> None:
    settings = {"SUPABASE_URL": "http://127.0.0.1:1/", "SUPABASE_SERVICE_ROLE_KEY": fresh_double.key()}
    with pytest.raises(StorageUnavailable):
        open_storage(Config.from_env(settings)).check()
    open_storage(Config.from_env({**settings, "STORAGE_URL": fresh_double.url})).check()
    open_storage(Config.from_env({**settings, "SUPABASE_URL": fresh_double.project_url + "/"})).check()


@pytest.mark.unit
def test_bodies_that_the_server_does_not_read_are_refused_for_the_reason_it_gives(
    fresh_double: StorageDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "STANDARD_SEND_SECONDS", 0.5)
    # Sending 5 MiB to a server that has answered and stopped reading hangs (contract section 0.5).
    storage = open_supabase(fresh_double, bucket="nowhere", chunk_bytes=6 * MIB, schedule=Schedule(IMPATIENT.delays))
    with pytest.raises(BucketMissing):
        put(storage, 5 * MIB)


@pytest.mark.unit
@pytest.mark.parametrize("answer", [{}, {"size": "12"}, [], "text", None])
def test_an_answer_without_the_size_is_an_error(answer: Any, fresh_double: StorageDouble) -> None:
    fresh_double.fault("answer", path="/object/info/", status=200, body=json.dumps(answer))
    with pytest.raises(StorageError, match="size"):
        store(open_supabase(fresh_double), KEY, [SMALL])


@pytest.mark.unit
def test_an_object_that_came_out_shorter_is_not_taken_for_stored(fresh_double: StorageDouble) -> None:
    fresh_double.fault("answer", path="/object/info/", status=200, body={"size": 5, "etag": "x"})
    with pytest.raises(StorageError, match=f"has 5 of {len(SMALL)} bytes. Send the file again"):
        store(open_supabase(fresh_double), KEY, [SMALL])


@pytest.mark.unit
def test_the_s3_backend_takes_the_same_steps_and_forgets_uploads_after_a_while(tmp_path: Path) -> None:
    with StorageDouble.start(tmp_path, s3=True) as double:
        double.make_bucket("imports")
        storage = open_supabase(double)
        for declared in (None, 2 * CHUNK_BYTES):
            upload = storage.begin(KEY, Description("text/csv", size_bytes=declared))
            upload.append(bytes(CHUNK_BYTES))
            stored = storage.resume(KEY, upload.address).finish(bytes(CHUNK_BYTES))
            assert read(storage, KEY) == bytes(2 * CHUNK_BYTES)
        left_open = storage.begin("open.csv", Description("text/csv"))
        left_open.append(bytes(CHUNK_BYTES))
        double.restart_with(expiry_seconds=0)
        forgotten = storage.resume(KEY, upload.address)
        assert (forgotten.offset, forgotten.finish()) == (2 * CHUNK_BYTES, stored)
        with pytest.raises(UploadLost, match="Send the file again"):
            storage.resume("open.csv", left_open.address)
        with pytest.raises(UploadLost, match="Send the file again"):
            left_open.append(bytes(CHUNK_BYTES))
