"""A job whose content has come before says so: which earlier job counts, and who may know of it."""

from collections.abc import Callable

import pytest
import requests

from dataflow import db
from tests.support.flask_web import FlaskWeb
from tests.support.processes import Web

THROUGH_FLASK = True
CSV = b"name,email\nAnn,ann@example.com\n"
OTHER_CSV = b"name,email\nBob,bob@example.com\n"


def accepted(answer: requests.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["jobId"])


def test_a_job_names_the_earlier_one_of_the_same_content_and_source(web: Web) -> None:
    headers = {"Content-Type": "text/csv", "X-Source": "crm"}
    first, second = (accepted(web.post(data=CSV, headers=headers)) for _ in range(2))
    third = accepted(web.post(files={"file": ("a.csv", CSV)}, data={"source": "crm"}))
    other_source = accepted(web.post(data=CSV, headers={**headers, "X-Source": "other"}))
    other_content = accepted(web.post(data=OTHER_CSV, headers=headers))
    expected = {first: None, second: first, third: second, other_source: None, other_content: None}
    assert {job_id: web.job(job_id)["duplicateOf"] for job_id in expected} == expected
    listed = web.get("/jobs").json()["jobs"]
    assert {job["jobId"]: job["duplicateOf"] for job in listed} == expected


@pytest.mark.parametrize("end", ["cancelled", "dry run", "reverted", "forgotten"])
def test_no_duplicate_is_who_follows_one_that_has_left_no_contacts(
    end: str, web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    headers = {"Content-Type": "text/csv", "X-Source": "crm"}
    first = accepted(web.post(f"/import?dryRun={str(end == 'dry run').lower()}", data=CSV, headers=headers))
    if end in ("cancelled", "forgotten"):
        assert web.post(f"/jobs/{first}/cancel").ok
    if end == "reverted":
        assert work_off() == 0
        assert web.post(f"/jobs/{first}/revert").ok
        assert work_off() == 0
    if end == "forgotten":
        assert web.request("DELETE", f"/jobs/{first}").ok
        [row] = connection.execute("SELECT content_sha256, idempotency_key FROM jobs").fetchall()
        assert row == {"content_sha256": None, "idempotency_key": None}
    second = accepted(web.post(data=CSV, headers=headers))
    assert web.job(second)["duplicateOf"] is None


def test_the_holder_of_a_token_learns_nothing_of_the_jobs_of_others(flask_web: FlaskWeb) -> None:
    def sent(caller: str) -> str:
        headers = {"Content-Type": "text/csv", "X-Source": "crm", "X-Test-Caller": caller}
        return accepted(flask_web.post(data=CSV, headers=headers))

    def seen(job_id: str, caller: str) -> list[str | None]:
        headers = {"X-Test-Caller": caller}
        listed = flask_web.get("/jobs", headers=headers).json()["jobs"]
        cancelled = flask_web.post(f"/jobs/{job_id}/cancel", headers=headers).json()
        return [
            flask_web.get(f"/jobs/{job_id}", headers=headers).json()["duplicateOf"],
            cancelled.get("duplicateOf"),
            *[job["duplicateOf"] for job in listed if job["jobId"] == job_id],
        ]

    of_key, of_token = sent("web"), sent("web#1")
    again = sent("web#1")
    assert seen(of_token, "web#1") == [None] * 3
    assert flask_web.get(f"/jobs/{of_token}", headers={"X-Test-Caller": "web"}).json()["duplicateOf"] == of_key
    assert seen(again, "web#1") == [of_token] * 3
