"""`/uploads`: the extension termination of tus 1.0.0, a test for each MUST, and the other ways in which uploads end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dataflow import db
from tests.support.tus import Tus, id_of

RUNS_OVER = ("local", "supabase")
THROUGH_FLASK = True
CSV = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\n"


@pytest.mark.one_storage
def test_termination_must_be_among_the_extensions(tus: Tus) -> None:
    assert "termination" in tus.ask("OPTIONS", "/uploads").headers["Tus-Extension"].split(",")


@pytest.mark.parametrize("sent", [0, 20])
def test_a_deletion_must_be_confirmed_with_204_and_frees_what_was_stored(
    sent: int, tus: Tus, stored_files: Callable[[], list[Path]]
) -> None:
    path = tus.begin(len(CSV))
    tus.patch(path, 0, CSV[:sent])
    answer = tus.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert stored_files() == []
    assert tus.service.job(id_of(path))["state"] == "cancelled"


def test_what_was_terminated_is_gone(tus: Tus) -> None:
    path = tus.begin(len(CSV), CSV[:20])
    tus.delete(path)
    answers = [tus.head(path), tus.patch(path, 20, CSV[20:]), tus.delete(path), tus.service.get(path)]
    assert [answer.status_code for answer in answers] == [410] * 4
    assert not any("Upload-Offset" in answer.headers for answer in answers)
    assert answers[3].json()["code"] == "upload_gone"


def test_a_complete_upload_is_an_import_and_cannot_be_terminated(
    tus: Tus, work_off: Callable[[], int], connection: db.Connection
) -> None:
    path = tus.send(CSV)
    assert tus.delete(path).status_code == 409
    assert work_off() == 0
    assert tus.delete(path).status_code == 409
    assert connection.execute("SELECT count(*) AS contacts FROM contacts").fetchone() == {"contacts": 2}


def test_a_complete_upload_is_found_as_long_as_its_job_is(tus: Tus, work_off: Callable[[], int]) -> None:
    path = tus.send(CSV)
    for _ in range(2):
        found = tus.head(path)
        assert (found.status_code, found.headers["Upload-Offset"]) == (200, str(len(CSV)))
        assert found.headers["Upload-Length"] == str(len(CSV))
        assert tus.patch(path, len(CSV), b"").status_code == 204
        assert tus.patch(path, len(CSV), b"x").status_code in (409, 413)
        assert work_off() == 0


def test_an_upload_that_is_cancelled_as_a_job_is_gone(tus: Tus, stored_files: Callable[[], list[Path]]) -> None:
    path = tus.begin(len(CSV), CSV[:20])
    assert tus.service.post(f"/jobs/{id_of(path)}/cancel").status_code == 202
    assert [tus.head(path).status_code, tus.patch(path, 20, CSV[20:]).status_code] == [410, 410]


def test_an_upload_that_somebody_cancels_in_psql_is_gone(tus: Tus, connection: db.Connection) -> None:
    path = tus.begin(len(CSV), CSV[:20])
    connection.execute("UPDATE jobs SET state = 'cancelled'")
    assert [tus.head(path).status_code, tus.patch(path, 20, CSV[20:]).status_code] == [410, 410]


def test_an_upload_cannot_be_terminated_by_what_is_not_its_path(tus: Tus) -> None:
    path = tus.begin(len(CSV))
    others = [f"{path}/", f"{path}/x", "/uploads/", "/uploads", path.upper().replace("/UPLOADS", "/uploads")]
    statuses = [tus.delete(other).status_code for other in others]
    assert set(statuses[:4]) <= {404, 405}
    assert statuses[4] in (204, 404)
