"""What clients and operators see of a storage server in trouble: real web and worker processes, the double beside."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dataflow import db
from dataflow.queue import retention
from dataflow.storage.base import Storage
from tests.doubles.storage.process import StorageDouble
from tests.support.processes import Web, WorkerProcess, free_port
from tests.support.silence import Silence
from tests.support.waiting import eventually

# What takes a minute of mere waiting begins with the first test, and is looked at by the last.
pytestmark = pytest.mark.usefixtures("silence")

RUNS_OVER = ("supabase",)
WEB_VARIABLES = {"UPLOAD_RETRY_SECONDS": "0,0.05,0.1,0.2,0.4,0.8,1.6"}
MIB = 1 << 20
CSV = {"Content-Type": "text/csv", "X-Source": "crm"}
ROW = b"Ann,ann@example.com\n"
SMALL = b"name,email\n" + ROW
LONG_ROW = b"Ann" * 60 + b",ann@example.com\n"
#: Four chunks, of few rows, because it is the bytes that matter.
LARGE = b"name,email\n" + LONG_ROW * (20 * MIB // len(LONG_ROW))


@pytest.fixture(autouse=True)
def without_faults(double: StorageDouble) -> Iterator[None]:
    double.clear_faults()
    double.clear_journal()
    yield
    double.clear_faults()


@pytest.fixture(scope="module")
def impatient_web(database: str, state_folder: Path, storage_variables: dict[str, str]) -> Iterator[Web]:
    """One that gives up soon."""
    places = {"DATABASE_URL": database, "DATA_DIR": state_folder, **storage_variables}
    started = Web.start({**places, "UPLOAD_RETRY_SECONDS": "0,0.05"})
    yield started
    started.stop()


@pytest.fixture
def small_bucket(double: StorageDouble) -> Iterator[None]:
    """The bucket takes no more than 100 kB for a while."""
    url, headers = f"{double.url}/bucket/imports", double.headers()
    for limit in ("100KB", None):
        changed = requests.put(url, json={"public": False, "file_size_limit": limit}, headers=headers, timeout=10)
        assert changed.ok, changed.text
        if limit:
            yield


@pytest.fixture
def rows(connection: db.Connection) -> Callable[[], list[dict[str, Any]]]:
    return lambda: connection.execute("SELECT * FROM jobs ORDER BY id").fetchall()


def refusal(answer: requests.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["status"] == answer.status_code
    return body["status"], body["code"]


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_client_notices_nothing_of_a_storage_that_restarts(content: bytes, web: Web, double: StorageDouble) -> None:
    def pieces() -> Iterator[bytes]:
        yield content[: len(content) // 2]
        double.restart()
        yield content[len(content) // 2 :]

    answer = web.post(data=pieces(), headers=CSV)
    assert answer.status_code == 200, answer.text
    [entry] = [entry for entry in web.get("/jobs").json()["jobs"] if entry["jobId"] == answer.json()["jobId"]]
    assert (entry["state"], entry["bytesTotal"]) == ("queued", len(content))


@pytest.mark.parametrize(("content", "states"), [(SMALL, []), (LARGE, [])], ids=["small", "large"])
def test_without_storage_an_upload_is_answered_503_and_leaves_its_row_only_if_bytes_may_be_left(
    content: bytes,
    states: list[str],
    start_web: Callable[..., Web],
    double: StorageDouble,
    rows: Callable[[], list[dict[str, Any]]],
) -> None:
    web = start_web(SUPABASE_URL=f"http://127.0.0.1:{free_port()}", UPLOAD_RETRY_SECONDS="0")
    assert refusal(web.post(data=content, headers=CSV)) == (503, "storage_unavailable")
    # Whether a single request was served is not known while the storage is away: the row is what a sweep goes by.
    assert [row["state"] for row in rows()] == states


def test_a_request_whose_answer_was_lost_leaves_a_row_to_look_after_it(
    impatient_web: Web, double: StorageDouble, rows: Callable[[], list[dict[str, Any]]]
) -> None:
    """A gateway may give up a request that the storage still serves: its object can come after we have looked."""
    double.fault("lose_answer", method="POST", path="/object/imports/")
    double.fault("answer", path="/upload/resumable", status=503, times=100)
    assert refusal(impatient_web.post(data=SMALL, headers=CSV)) == (503, "storage_unavailable")
    assert [row["state"] for row in rows()] == ["uploading"]


def test_without_storage_the_default_patience_ends_soon_when_the_first_request_cannot_connect(
    start_web: Callable[..., Web], rows: Callable[[], list[dict[str, Any]]]
) -> None:
    web = start_web(SUPABASE_URL=f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()
    assert refusal(web.post(data=LARGE, headers=CSV)) == (503, "storage_unavailable")
    assert time.monotonic() - began < 10
    assert rows() == []


def test_an_upload_that_the_storage_gave_up_is_not_blamed_on_its_client_when_it_is_abandoned(
    impatient_web: Web,
    double: StorageDouble,
    storage: Storage,
    connection: db.Connection,
    rows: Callable[[], list[dict[str, Any]]],
) -> None:
    double.fault("answer", path="/upload/resumable", status=503, times=100, skip=2)
    assert refusal(impatient_web.post(data=LARGE, headers=CSV)) == (503, "storage_unavailable")
    [row] = rows()
    assert (row["state"], row["error"].partition(":")[0]) == ("uploading", "storage_unavailable")
    connection.execute("UPDATE jobs SET heartbeat_at = heartbeat_at - INTERVAL '1 hour'")
    retention.abandon_uploads(connection, 0.001)
    [row] = rows()
    assert (row["state"], row["error"].partition(":")[0]) == ("failed", "storage_unavailable")
    double.clear_faults()
    storage.discard(row["object_key"], row["upload_url"])


def test_an_upload_that_was_cancelled_is_answered_as_such_also_if_its_object_cannot_be_removed(
    web: Web, double: StorageDouble, connection: db.Connection
) -> None:
    double.fault("answer", method="DELETE", status=503, times=100)

    def pieces() -> Iterator[bytes]:
        yield SMALL
        eventually(lambda: connection.execute("UPDATE jobs SET state = 'cancelled' RETURNING id").fetchall())
        yield ROW

    assert refusal(web.post(data=pieces(), headers=CSV)) == (409, "upload_cancelled")


def test_an_upload_that_the_storage_gives_up_is_removed_from_it(
    impatient_web: Web,
    double: StorageDouble,
    rows: Callable[[], list[dict[str, Any]]],
    stored_files: Callable[[], list[Path]],
) -> None:
    double.fault("answer", method="PATCH", status=503, skip=2, times=100)
    assert refusal(impatient_web.post(data=LARGE, headers=CSV)) == (503, "storage_unavailable")
    assert rows() == []
    assert stored_files() == []


def test_where_an_upload_is_open_stands_on_its_row_until_it_is_queued(
    web: Web, rows: Callable[[], list[dict[str, Any]]]
) -> None:
    shown = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield LARGE
        assert shown.wait(20)
        yield ROW

    with_answer: list[requests.Response] = []
    client = threading.Thread(target=lambda: with_answer.append(web.post(data=pieces(), headers=CSV)))
    client.start()
    try:
        eventually(lambda: rows() and rows()[0]["upload_url"])
        assert rows()[0]["upload_url"].startswith("/upload/resumable/")
    finally:
        shown.set()
        client.join()
    assert with_answer[0].status_code == 200
    assert [(row["state"], row["upload_url"]) for row in rows()] == [("queued", None)]


@pytest.mark.parametrize("as_chunks", [False, True], ids=["Content-Length", "chunked"])
@pytest.mark.parametrize("content", [SMALL * 10_000, LARGE], ids=["one chunk", "four chunks"])
def test_a_file_that_the_bucket_does_not_take_is_refused_with_its_limit(
    content: bytes,
    as_chunks: bool,
    web: Web,
    small_bucket: None,
    rows: Callable[[], list[dict[str, Any]]],
    stored_files: Callable[[], list[Path]],
) -> None:
    answer = web.post(data=iter([content]) if as_chunks else content, headers=CSV)
    assert refusal(answer) == (413, "object_too_large")
    assert "larger than 100000 bytes, the limit of the bucket imports (file_size_limit)" in answer.json()["error"]
    assert (rows(), stored_files()) == ([], [])


def test_a_refused_body_of_one_chunk_asks_nothing_of_the_storage(
    web: Web, double: StorageDouble, rows: Callable[[], list[dict[str, Any]]]
) -> None:
    answer = web.post(json={"source": "crm", "data": [{"name": "Ann", "email": "ann"}]})
    assert refusal(answer) == (400, "invalid_contacts")
    assert (rows(), double.journal()) == ([], [])


def test_a_large_json_body_whose_last_contact_is_bad_leaves_nothing(
    web: Web, rows: Callable[[], list[dict[str, Any]]], stored_files: Callable[[], list[Path]]
) -> None:
    good = [{"name": "Ann", "email": "ann@example.com"}] * 300_000
    body = json.dumps({"source": "crm", "data": [*good, {"name": "Bob", "email": "bob"}]})
    assert len(body) > 12 * MIB
    answer = web.post(data=body, headers={"Content-Type": "application/json"})
    assert refusal(answer) == (400, "invalid_contacts")
    assert (rows(), stored_files()) == ([], [])


FORM_FILES = {
    "a name and a type": (("Kontakte März.csv", SMALL, "text/csv"), "text/csv", "Kontakte März.csv"),
    "no type": (("list", SMALL), "application/octet-stream", "list"),
}


@pytest.mark.parametrize("what", FORM_FILES)
def test_an_object_is_stored_with_what_is_known_of_its_file(what: str, web: Web, double: StorageDouble) -> None:
    file, content_type, file_name = FORM_FILES[what]
    # The source comes first, so that nothing of the file is known when the request begins.
    job_id = web.post(data={"source": "secret"}, files={"file": file}).json()["jobId"]
    url = f"{double.url}/object/info/authenticated/imports/{job_id}.bin"
    info = requests.get(url, headers=double.headers(), timeout=10).json()
    assert info["metadata"] == {"jobId": job_id, "contentType": content_type, "fileName": file_name}
    assert (info["content_type"], info["cache_control"]) == (content_type, "max-age=3600")


@pytest.mark.parametrize("wish", [None, "false", "true"])
def test_use_resumable_forces_tus_for_small_files_and_false_forbids_nothing(
    wish: str | None, web: Web, double: StorageDouble
) -> None:
    header = {"X-Use-Resumable": wish} if wish else {}
    assert web.post(data=SMALL, headers={**CSV, **header}).status_code == 200
    assert web.post(data=LARGE, headers={**CSV, **header}).status_code == 200
    patches = [entry["received_bytes"] for entry in double.journal() if entry["method"] == "PATCH"]
    small = [len(SMALL)] if wish == "true" else []
    assert patches[: len(small)] == small
    assert sum(patches) == sum(small) + len(LARGE)


def test_use_resumable_counts_wherever_it_stands_in_a_json_body(web: Web, double: StorageDouble) -> None:
    body = b'{"source": "crm", "data": [{"name": "Ann", "email": "ann@example.com"}], "useResumable": true}'
    assert web.post(data=body, headers={"Content-Type": "application/json"}).status_code == 200
    assert [entry["method"] for entry in double.journal()] == ["POST", "PATCH", "GET"]


WRONG_SETTINGS: dict[str, tuple[dict[str, str], str, str]] = {
    "expired key": ({"SUPABASE_SERVICE_ROLE_KEY": "expired"}, "storage_denied", "refuses SUPABASE_SERVICE_ROLE_KEY"),
    "missing bucket": ({"STORAGE_BUCKET": "nowhere"}, "bucket_missing", "no bucket nowhere"),
    "unreachable": ({"SUPABASE_URL": "http://127.0.0.1:1"}, "storage_unavailable", "Connection refused"),
}


@pytest.mark.parametrize("what", WRONG_SETTINGS)
def test_health_and_uploads_tell_what_is_wrong_with_the_storage(
    what: str, start_web: Callable[..., Web], double: StorageDouble, rows: Callable[[], list[dict[str, Any]]]
) -> None:
    settings, code, said = WRONG_SETTINGS[what]
    key = double.key(expires_in_seconds=-1)
    variables = {name: key if value == "expired" else value for name, value in settings.items()}
    web = start_web(UPLOAD_RETRY_SECONDS="0", **variables)
    health = web.get("/health")
    assert health.status_code == 503
    assert said in health.json()["checks"]["storage"]["error"]
    answer = web.post(data=SMALL, headers=CSV)
    assert refusal(answer) == (503, code)
    assert said in answer.json()["error"]
    assert key not in health.text + answer.text + web.log()
    assert rows() == []


def test_a_download_that_is_cut_is_imported_whole(
    web: Web, double: StorageDouble, start_worker: Callable[..., WorkerProcess], connection: db.Connection
) -> None:
    job_id = web.post(data=LARGE, headers=CSV).json()["jobId"]
    for number in range(5):
        double.fault("cut", path="/object/authenticated/", after_bytes=1_000_003 * (number + 1))
    start_worker(UPLOAD_RETRY_SECONDS="0,0.1")
    job = web.finished_job(job_id)
    assert (job["state"], job["rowsImported"], job["error"]) == ("succeeded", LARGE.count(b"\n") - 1, None)
    [counted] = connection.execute("SELECT count(*) AS rows FROM contacts").fetchall()
    assert counted["rows"] == job["rowsImported"]
    downloads = [entry for entry in double.journal() if "/object/authenticated/" in entry["path"]]
    assert len(downloads) == 6


def test_an_object_that_has_vanished_fails_its_job_at_once(
    web: Web, double: StorageDouble, start_worker: Callable[..., WorkerProcess]
) -> None:
    job_id = web.post(data=SMALL, headers=CSV).json()["jobId"]
    url = f"{double.url}/object/imports/{job_id}.csv"
    assert requests.delete(url, headers=double.headers(), timeout=10).ok
    start_worker()
    job = web.finished_job(job_id)
    assert job["state"] == "failed"
    assert job["error"].startswith("object_missing: ")


def test_a_job_is_retried_while_the_storage_is_away(
    web: Web,
    double: StorageDouble,
    start_worker: Callable[..., WorkerProcess],
    rows: Callable[[], list[dict[str, Any]]],
) -> None:
    job_id = web.post(data=SMALL, headers=CSV).json()["jobId"]
    double.fault("answer", path="/object/authenticated/", status=544, times=3)
    start_worker(UPLOAD_RETRY_SECONDS="0,0")
    eventually(lambda: rows()[0]["failures"] == 1)
    [row] = rows()
    assert (row["state"], str(row["id"])) == ("queued", job_id)
    assert row["error"].startswith("storage_unavailable: ")


def test_what_a_process_asks_of_the_storage_is_in_its_metrics(
    start_web: Callable[..., Web], double: StorageDouble, start_worker: Callable[..., WorkerProcess]
) -> None:
    web, port = start_web(**WEB_VARIABLES), free_port()
    double.fault("answer", method="PATCH", status=544, times=2)
    job_id = web.post(data=LARGE, headers=CSV).json()["jobId"]
    shown = web.get("/metrics").text
    assert _value(shown, 'storage_bytes_total{direction="up"}') == len(LARGE)
    assert 'storage_operations_total{operation="tus_patch",outcome="544"} 2.0' in shown
    assert 'storage_operations_total{operation="tus_patch",outcome="ok"} 4.0' in shown
    assert 'storage_retries_total{operation="tus_patch"} 2.0' in shown
    assert 'storage_operation_seconds_count{operation="tus_create"} 1.0' in shown
    start_worker(WORKER_METRICS_PORT=port)
    web.finished_job(job_id)
    of_worker = f"http://127.0.0.1:{port}/metrics"
    deleted = 'storage_operations_total{operation="delete",outcome="ok"} 1.0'
    eventually(lambda: deleted in requests.get(of_worker, timeout=10).text)
    assert _value(requests.get(of_worker, timeout=10).text, 'storage_bytes_total{direction="down"}') == len(LARGE)


def _value(metrics: str, name: str) -> float:
    [found] = [float(line.removeprefix(name)) for line in metrics.splitlines() if line.startswith(name)]
    return found


def test_a_worker_whose_metrics_port_is_taken_says_so_and_does_not_start(
    start_worker: Callable[..., WorkerProcess], web: Web
) -> None:
    with pytest.raises(AssertionError, match=f"WORKER_METRICS_PORT: port {web.port} cannot be used"):
        start_worker(WORKER_METRICS_PORT=web.port)


@pytest.mark.parametrize(("when", "least", "most"), [("last chunk", 15, 29), ("mid-body", 35, 54)])
def test_a_storage_that_is_silent_is_given_up_before_routers_and_platforms_give_us_up(
    when: str, least: float, most: float, silence: Silence
) -> None:
    """Platforms cut 30 s after the last byte of the request, routers after 55 s in which nothing is read or said."""
    refused = silence[when].result(timeout=60)
    assert refusal(refused.answer) == (503, "storage_unavailable")
    assert least < refused.seconds < most
