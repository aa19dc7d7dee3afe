"""Uploads whose storage takes longer to complete them than a client can wait: real processes, a slow double beside."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import requests

from dataflow import db
from dataflow.client import imports as imports_client
from dataflow.config import Config
from dataflow.errors import JobError
from dataflow.imports import completion
from dataflow.queue import jobs
from dataflow.queue.scope import ALL
from dataflow.storage.base import Storage
from dataflow.worker.sweeper import Sweep
from tests.doubles.storage.process import StorageDouble
from tests.support.errors import has_code
from tests.support.imported import row_of
from tests.support.processes import Web, WorkerProcess
from tests.support.waiting import eventually

RUNS_OVER = ("supabase",)

CSV = {"Content-Type": "text/csv", "X-Source": "crm", "X-Use-Resumable": "true"}
KEYED = {**CSV, "Idempotency-Key": "abc"}
CONTENT = b"name,email\nAnn,ann@example.com\n"
COMPLETION_SECONDS = 2.5
#: The last PATCH is waited for a second, so that the answer comes well before the object.
HASTY = {"UPLOAD_ANSWER_SECONDS": 3}


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageDouble]:
    folder = tmp_path_factory.mktemp("double")
    with StorageDouble.start(folder, completion_seconds=COMPLETION_SECONDS) as started:
        started.make_bucket("imports")
        yield started


@pytest.fixture(scope="module")
def shared_web(module_database: str, state_folder: Path, storage_variables: dict[str, str]) -> Iterator[Web]:
    places = {"DATABASE_URL": module_database, "DATA_DIR": state_folder}
    started = Web.start({**places, **storage_variables, **HASTY})
    yield started
    started.stop()


@pytest.fixture
def patient(double: StorageDouble, empty_storage: None) -> StorageDouble:
    """The double, with nothing remembered or stored."""
    double.clear_journal()
    return double


def accepted(web: Web) -> str:
    """The job of an upload that is still completed."""
    answer = web.post(data=CONTENT, headers=CSV)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def fall_silent(connection: db.Connection) -> None:
    connection.execute("UPDATE jobs SET heartbeat_at = heartbeat_at - INTERVAL '61 seconds'")


def queued(connection: db.Connection, job_id: str) -> dict[str, Any]:
    return eventually(lambda: row if (row := row_of(connection, job_id))["state"] == "queued" else None)


def patches(double: StorageDouble) -> list[dict[str, Any]]:
    return [entry for entry in double.journal() if entry["method"] == "PATCH"]


def test_an_upload_that_is_slow_to_complete_is_answered_202_and_queued_once_it_is_an_object(
    web: Web, connection: db.Connection, work_off: Callable[[], int], stored_contacts: Callable[[], list[Any]]
) -> None:
    began = time.monotonic()
    answer = web.post(data=CONTENT, headers=CSV)
    assert time.monotonic() - began < COMPLETION_SECONDS
    job_id = answer.json()["jobId"]
    assert (answer.status_code, urlsplit(answer.headers["Location"]).path) == (202, f"/jobs/{job_id}")
    row = row_of(connection, job_id)
    assert (row["state"], row["bytes_done"], row["bytes_total"]) == ("uploading", len(CONTENT), len(CONTENT))
    assert row["upload_url"]
    assert (row["source"], row["format"], len(row["digests"])) == ("crm", "csv", 1)
    row = queued(connection, job_id)
    assert (row["upload_url"], bool(row["object_etag"]), row["bytes_done"]) == (None, True, 0)
    assert work_off() == 0
    assert stored_contacts() == [("Ann", "ann@example.com", "crm")]


def test_the_command_waits_for_an_upload_that_is_slow_to_complete(
    web: Web, start_worker: Callable[..., WorkerProcess], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start_worker()
    path = tmp_path / "contacts.csv"
    path.write_bytes(CONTENT)
    assert imports_client.import_file(web.url, path, {"source": "crm", "useResumable": "true"}) == 0
    assert "1 rows imported" in capsys.readouterr().out


def test_beyond_their_number_the_request_itself_waits_for_the_object(
    start_web: Callable[..., Web], connection: db.Connection
) -> None:
    web = start_web(**HASTY, MAX_UPLOADS=1)
    accepted(web)
    answer = web.post(data=CONTENT, headers=CSV)
    assert answer.status_code == 200
    assert row_of(connection, answer.json()["jobId"])["state"] == "queued"


def sent_again(web: Web, first: requests.Response) -> bool:
    """Whether the same request under the same key is answered the same."""
    again = web.post(data=CONTENT, headers=KEYED)
    return (again.status_code, again.text, again.headers["Location"]) == (
        first.status_code,
        first.text,
        first.headers["Location"],
    )


def test_what_was_answered_before_there_is_an_object_is_answered_again(web: Web, connection: db.Connection) -> None:
    first = web.post(data=CONTENT, headers=KEYED)
    assert first.status_code == 202
    assert sent_again(web, first)
    queued(connection, first.json()["jobId"])
    assert sent_again(web, first)


def test_what_was_answered_by_a_request_that_waited_itself_is_answered_again(
    start_web: Callable[..., Web], connection: db.Connection
) -> None:
    web = start_web(**HASTY, MAX_UPLOADS=1)
    accepted(web)
    first = web.post(data=CONTENT, headers=KEYED)
    assert first.status_code == 200
    assert sent_again(web, first)


def test_an_upload_that_was_answered_and_is_lost_can_be_sent_again_under_its_key(
    start_web: Callable[..., Web],
    web: Web,
    connection: db.Connection,
    work_off: Callable[[], int],
    patient: StorageDouble,
    stored_files: Callable[[], list[Path]],
) -> None:
    doomed = start_web(**HASTY)
    first = doomed.post(data=CONTENT, headers=KEYED)
    doomed.kill_all()
    eventually(lambda: not stored_files())
    assert sent_again(web, first), "nobody knows yet"
    fall_silent(connection)
    work_off()
    assert row_of(connection, first.json()["jobId"])["state"] == "failed"
    second = web.post(data=CONTENT, headers=KEYED)
    assert second.json() != first.json()
    assert sent_again(web, second)
    queued(connection, second.json()["jobId"])


def test_a_storage_that_restarts_meanwhile_is_asked_again(
    web: Web, connection: db.Connection, patient: StorageDouble
) -> None:
    job_id = accepted(web)
    patient.restart()
    queued(connection, job_id)


def test_what_a_killed_web_process_lets_go_of_is_lost_and_says_so(
    start_web: Callable[..., Web],
    connection: db.Connection,
    work_off: Callable[[], int],
    patient: StorageDouble,
    stored_files: Callable[[], list[Path]],
) -> None:
    web = start_web(**HASTY)
    job_id = accepted(web)
    web.kill_all()
    eventually(lambda: not stored_files())
    assert work_off() == 0
    assert row_of(connection, job_id)["state"] == "uploading", "it has been silent for a moment only"
    fall_silent(connection)
    work_off()
    row = row_of(connection, job_id)
    assert (row["state"], row["error"].partition(":")[0], row["digests"]) == ("failed", "upload_lost", [])
    with pytest.raises(JobError, match="never received as a whole", check=has_code("object_forgotten")):
        jobs.retry(connection, row["id"], ALL)


def test_an_object_that_came_after_its_web_process_was_killed_is_imported(
    start_web: Callable[..., Web],
    connection: db.Connection,
    work_off: Callable[[], int],
    patient: StorageDouble,
    stored_contacts: Callable[[], list[Any]],
) -> None:
    web = start_web(**HASTY)
    job_id = accepted(web)
    web.kill_all()
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(len(CONTENT)), "x-upsert": "true"}
    headers["Content-Type"] = "application/offset+octet-stream"
    url = f"{patient.url}{row_of(connection, job_id)['upload_url']}"
    assert requests.patch(url, headers=patient.headers(**headers), timeout=20).status_code == 204
    patient.clear_journal()
    fall_silent(connection)
    assert work_off() == 0
    assert patches(patient) == [], "it was there"
    row = row_of(connection, job_id)
    assert (row["state"], row["upload_url"], bool(row["object_etag"])) == ("succeeded", None, True)
    assert len(stored_contacts()) == 1


def test_a_worker_completes_what_web_and_storage_were_killed_over(
    start_web: Callable[..., Web],
    start_worker: Callable[..., WorkerProcess],
    web: Web,
    connection: db.Connection,
    patient: StorageDouble,
) -> None:
    doomed = start_web(**HASTY)
    job_id = accepted(doomed)
    patient.kill()
    doomed.kill_all()
    patient.restart()
    fall_silent(connection)
    start_worker()
    assert web.finished_job(job_id)["state"] == "succeeded"
    [entry] = patches(patient)
    assert entry["received_bytes"] == 0


def test_a_job_that_is_cancelled_while_its_upload_completes_lets_go_of_it(
    web: Web,
    connection: db.Connection,
    config: Config,
    storage: Storage,
    patient: StorageDouble,
    stored_files: Callable[[], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dataflow.worker.sweeper.UPLOAD_SLACK_SECONDS", 0.0)
    patient.restart_with(completion_seconds=completion.BEAT_SECONDS + 3)
    try:
        job_id = accepted(web)
        assert web.post(f"/jobs/{job_id}/cancel").ok
        eventually(lambda: not stored_files())
    finally:
        patient.restart_with(completion_seconds=COMPLETION_SECONDS)
    row = row_of(connection, job_id)
    assert (row["state"], row["digests"], row["bytes_total"]) == ("cancelled", [], None)
    refused = web.post(f"/jobs/{job_id}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "object_forgotten")
    connection.execute("UPDATE jobs SET finished_at = finished_at - INTERVAL '1 hour'")
    Sweep(config, storage, "sweep").sweep()
    assert row_of(connection, job_id)["object_deleted_at"] is not None


def test_a_web_process_that_is_told_to_end_queues_what_completes_first(
    start_web: Callable[..., Web], connection: db.Connection
) -> None:
    web = start_web(**HASTY)
    job_id = accepted(web)
    assert web.stop() == 0
    assert row_of(connection, job_id)["state"] == "queued"


def test_a_person_cannot_move_on_what_is_not_an_object_yet(web: Web, connection: db.Connection) -> None:
    job_id = accepted(web)
    for state in ("queued", "running", "succeeded"):
        with pytest.raises(psycopg.errors.RaiseException, match="its upload is still open"):
            connection.execute("UPDATE jobs SET state = %s WHERE id = %s", [state, job_id])
    assert web.post(f"/jobs/{job_id}/retry").status_code == 409
    assert queued(connection, job_id)
