"""`/uploads` over a storage server in trouble: away, silent, refusing, or slow with the completion of a large file."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataflow import db
from tests.doubles.storage.process import StorageDouble
from tests.support.processes import Web, WorkerProcess, free_port
from tests.support.tus import OpenPatch, Tus, id_of
from tests.support.waiting import eventually

RUNS_OVER = ("supabase",)
WEB_VARIABLES = {"UPLOAD_RETRY_SECONDS": "0,0.05,0.1", "UPLOAD_ANSWER_SECONDS": 3}
MIB = 1 << 20
CSV = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\n"
ROWS = [("Ann", "ann@example.com", "crm"), ("Bob", "bob@example.com", "crm")]
TUS_PATH = "/upload/resumable"

pytestmark = pytest.mark.usefixtures("fresh_double")


def refusal(answer: Any) -> tuple[int, str, bool]:
    return answer.status_code, answer.json()["code"], int(answer.headers["Retry-After"]) > 0


def test_without_storage_a_creation_is_put_off_and_leaves_nothing(
    start_web: Callable[..., Web], connection: db.Connection
) -> None:
    tus = Tus(start_web(SUPABASE_URL=f"http://127.0.0.1:{free_port()}", UPLOAD_RETRY_SECONDS="0"))
    assert refusal(tus.create(len(CSV))) == (503, "storage_unavailable", True)
    assert connection.execute("SELECT FROM jobs WHERE state = 'queued'").fetchall() == []


def test_without_storage_patch_and_head_are_put_off_and_the_upload_goes_on_later(
    tus: Tus, double: StorageDouble, work_off: Callable[[], int], stored_contacts: Callable[[], list[Any]]
) -> None:
    path = tus.begin(len(CSV), CSV[:20])
    double.kill()
    assert refusal(tus.patch(path, 20, CSV[20:])) == (503, "storage_unavailable", True)
    answer = tus.head(path)
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
    assert "Upload-Offset" not in answer.headers
    assert tus.show(path)["offset"] == 20
    double.restart()
    assert tus.offset(path) == 20
    assert tus.patch(path, 20, CSV[20:]).status_code == 204
    assert work_off() == 0
    assert stored_contacts() == ROWS


def test_the_storage_restarts_in_the_middle_and_the_client_notices_nothing(
    tus: Tus, double: StorageDouble, work_off: Callable[[], int], stored_contacts: Callable[[], list[Any]]
) -> None:
    path = tus.begin(len(CSV), CSV[:20])
    double.restart()
    assert tus.patch(path, 20, CSV[20:]).status_code == 204
    assert work_off() == 0
    assert stored_contacts() == ROWS


@pytest.mark.parametrize("deed", ["reset", "lose_answer"])
def test_a_patch_whose_own_patch_is_lost_is_stored_once(
    deed: Any, tus: Tus, double: StorageDouble, work_off: Callable[[], int], stored_contacts: Callable[[], list[Any]]
) -> None:
    path = tus.begin(len(CSV), CSV[:20])
    double.fault(deed, method="PATCH")
    assert tus.patch(path, 20, CSV[20:]).status_code == 204
    assert work_off() == 0
    assert stored_contacts() == ROWS


def test_an_upload_whose_holder_waits_for_the_storage_is_locked_for_others(
    start_web: Callable[..., Web], double: StorageDouble
) -> None:
    patient = start_web()
    tus = Tus(patient)
    path = tus.begin(len(CSV), CSV[:20])
    double.fault("stall", method="PATCH")
    with OpenPatch(patient, path, 20, len(CSV) - 20) as patch:
        patch.send(CSV[20:])
        eventually(lambda: [entry for entry in double.journal() if entry["method"] == "PATCH" and entry["held"]])
        began = time.monotonic()
        answer = tus.patch(path, 20, b"x")
        assert (answer.status_code, answer.json()["code"]) == (423, "upload_locked")
        assert (int(answer.headers["Retry-After"]) > 0, 4 < time.monotonic() - began < 9) == (True, True)
        double.release()
        assert patch.outcome() == 204
    assert tus.offset(path) == len(CSV)
    assert tus.service.job(id_of(path))["state"] == "queued"


def test_an_upload_that_the_storage_forgets_in_the_middle_of_a_patch_is_gone(tus: Tus, double: StorageDouble) -> None:
    path = tus.begin(len(CSV), CSV[:20])
    double.fault("forget_upload", method="PATCH")
    # Whoever is told 503 asks HEAD before going on.
    assert tus.patch(path, 20, CSV[20:]).status_code in (409, 410, 503)
    assert tus.head(path).status_code == 410


def test_bytes_that_the_storage_loses_between_two_patches_are_asked_for_again(tus: Tus, double: StorageDouble) -> None:
    path = tus.begin(len(CSV), CSV[:30])
    double.fault("set_back", lost_bytes=10, path=TUS_PATH)
    answer = tus.patch(path, 30, CSV[30:])
    assert answer.status_code == 409
    assert tus.offset(path) == 20
    assert tus.patch(path, 20, CSV[20:]).status_code == 204


def test_a_file_that_is_too_large_for_the_storage_is_refused_at_its_creation(
    start_web: Callable[..., Web], tmp_path: Path
) -> None:
    with StorageDouble.start(tmp_path / "double", global_limit=1000) as strict:
        strict.make_bucket("imports")
        web = start_web(SUPABASE_URL=strict.project_url, SUPABASE_SERVICE_ROLE_KEY=strict.key())
        tus = Tus(web)
        assert tus.create(1001).status_code == 413
        path = tus.begin()
        assert tus.patch(path, 0, b"x" * 1001).status_code == 413
        assert tus.create(1000).status_code == 201


def test_the_last_patch_is_answered_when_all_bytes_are_stored_and_the_object_is_waited_for(
    start_web: Callable[..., Web],
    start_worker: Callable[..., WorkerProcess],
    tmp_path: Path,
    stored_contacts: Callable[[], list[Any]],
) -> None:
    with StorageDouble.start(tmp_path / "double", completion_seconds=6.0) as slow:
        slow.make_bucket("imports")
        key = {"SUPABASE_URL": slow.project_url, "SUPABASE_SERVICE_ROLE_KEY": slow.key()}
        web = start_web(**key, UPLOAD_ANSWER_SECONDS=3)
        start_worker(**key)
        tus = Tus(web)
        path = tus.begin(len(CSV), CSV[:20])
        answer = tus.patch(path, 20, CSV[20:])
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(len(CSV)))
        assert answer.headers["Link"] == f'</jobs/{id_of(path)}>; rel="related"'
        assert tus.show(path)["state"] == "completing"
        assert tus.offset(path) == len(CSV)
        assert tus.patch(path, len(CSV), b"").status_code == 204
        job = web.finished_job(id_of(path))
        assert (job["state"], job["rowsImported"]) == ("succeeded", 2)
        assert stored_contacts() == ROWS
        eventually(lambda: tus.show(path)["state"] == "succeeded")


def test_a_killed_web_process_does_not_cost_a_slow_completion(
    start_web: Callable[..., Web], start_worker: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    with StorageDouble.start(tmp_path / "double", completion_seconds=6.0) as slow:
        slow.make_bucket("imports")
        key = {"SUPABASE_URL": slow.project_url, "SUPABASE_SERVICE_ROLE_KEY": slow.key()}
        victim, other = start_web(**key, UPLOAD_ANSWER_SECONDS=3), start_web(**key, UPLOAD_ANSWER_SECONDS=3)
        start_worker(**key)
        path = Tus(victim).send(CSV)
        victim.kill_all()
        tus = Tus(other)
        found = tus.head(path)
        # The storage throws away what nobody holds on to, or has it: both are told (contract section 13).
        assert found.status_code in (200, 410)
        if found.status_code == 200:
            assert tus.patch(path, len(CSV), b"").status_code in (204, 410)
