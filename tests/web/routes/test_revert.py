"""POST /jobs/{id}/revert over real HTTP: who gets which job, and what the import shows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
import requests

from dataflow import db
from dataflow.imports.revert import RevertHandler
from dataflow.queue import jobs, retention
from dataflow.queue.attempt import Attempt
from tests.support.imported import count_contacts, imported, row_of
from tests.support.processes import Web, WorkerProcess
from tests.support.waiting import eventually

THROUGH_FLASK = True
CSV = {"Content-Type": "text/csv", "X-Source": "crm"}
CONTENT = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\nCid,not-an-address\n"


def revert(web: Web, job_id: UUID | str) -> str:
    answer = web.post(f"/jobs/{job_id}/revert")
    assert answer.status_code == 202, answer.text
    revert_id: str = answer.json()["jobId"]
    return revert_id


def refusal(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def reverts(connection: db.Connection) -> list[str]:
    rows = connection.execute("SELECT id::text AS id FROM jobs WHERE kind = 'revert' ORDER BY jobs.id").fetchall()
    return [row["id"] for row in rows]


def test_an_import_is_undone_by_a_worker_that_waits_for_jobs(
    web: Web, connection: db.Connection, start_worker: Callable[..., WorkerProcess]
) -> None:
    kept = imported(connection, 2, "others")
    worker = start_worker(WORKER_POLL_INTERVAL=3_600_000)
    import_id = web.post(data=CONTENT, headers=CSV).json()["jobId"]
    assert web.finished_job(import_id)["rowsImported"] == 2
    done = web.finished_job(revert(web, import_id))
    assert (done["kind"], done["state"], done["ofJob"], done["source"]) == ("revert", "succeeded", import_id, "crm")
    assert (done["revertedRows"], done["revertedAt"], done["rowsImported"]) == (2, None, 0)
    shown = web.job(import_id)
    assert (shown["state"], shown["rowsImported"], shown["revertedRows"]) == ("succeeded", 2, 2)
    assert shown["revertedAt"] is not None
    assert web.job(str(kept))["revertedAt"] is None
    assert (count_contacts(connection), count_contacts(connection, "others")) == (0, 2)
    assert '"message": "revert succeeded"' in worker.log()


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_it_is_answered_202_with_the_revert_and_its_address(prefix: str, web: Web, connection: db.Connection) -> None:
    import_id = imported(connection, 1)
    answer = web.post(f"{prefix}/jobs/{import_id}/revert", headers={"X-Request-Id": "abc"})
    shown = answer.json()
    assert answer.status_code == 202
    assert shown == web.get(f"{prefix}/jobs/{shown['jobId']}").json()
    assert answer.headers["Location"] == shown["links"]["self"] == f"{prefix}/jobs/{shown['jobId']}"
    assert (shown["kind"], shown["ofJob"], shown["state"]) == ("revert", str(import_id), "queued")
    assert (shown["revertedRows"], shown["requestId"], shown["detected"]) == (0, "abc", {})


def test_whoever_asks_again_is_answered_with_the_same_revert_however_far_it_is(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    import_id = imported(connection, 3)
    queued = revert(web, import_id)
    assert revert(web, import_id) == queued
    jobs.claim(connection, "w")
    assert row_of(connection, queued)["state"] == "running"
    assert revert(web, import_id) == queued
    connection.execute("UPDATE jobs SET state = 'queued' WHERE id = %s", [queued])
    assert work_off() == 0
    before = web.job(str(import_id))
    assert before["revertedAt"] is not None
    assert revert(web, import_id) == queued
    assert web.job(queued)["state"] == "succeeded"
    assert web.job(str(import_id)) == before
    assert reverts(connection) == [queued]


def test_asked_for_at_the_same_moment_an_import_is_reverted_by_one_job(web: Web, connection: db.Connection) -> None:
    import_id = imported(connection, 3)
    with ThreadPoolExecutor(8) as clients:
        answers = set(clients.map(lambda _: revert(web, import_id), range(8)))
    assert answers == set(reverts(connection))
    assert len(answers) == 1


def wait_until_blocked(connection: db.Connection, sessions: int) -> None:
    """Return when so many of this database wait for a lock."""
    blocked = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    eventually(lambda: len(connection.execute(blocked).fetchall()) == sessions)


def test_asked_for_in_the_last_moment_of_a_revert_no_other_is_queued(
    web: Web, database: str, connection: db.Connection
) -> None:
    import_id = imported(connection, 3)
    revert_id = revert(web, import_id)
    with ThreadPoolExecutor(2) as threads, db.connect(database, "dataflow/w/work") as session:
        job = jobs.claim(session, "w")
        assert job is not None
        with db.connect(database, "psql") as psql, psql.transaction():
            psql.execute("SELECT FROM jobs WHERE kind = 'revert' FOR UPDATE")
            attempt = Attempt(job, session)
            working = threads.submit(RevertHandler(attempt).run, session)
            wait_until_blocked(connection, 1)
            # So that a beat which finds the revert ended does not cut it.
            assert attempt.is_settling
            asking = threads.submit(revert, web, import_id)
            wait_until_blocked(connection, 2)
        working.result()
        assert asking.result() == revert_id
    assert reverts(connection) == [revert_id]
    assert web.job(revert_id)["state"] == "succeeded"


def test_asked_for_while_an_old_revert_is_queued_again_in_psql_that_one_is_the_answer(
    web: Web, database: str, connection: db.Connection
) -> None:
    import_id = imported(connection, 3)
    revert_id = revert(web, import_id)
    web.post(f"/jobs/{revert_id}/cancel")
    with ThreadPoolExecutor(1) as threads:
        with db.connect(database, "psql") as psql, psql.transaction():
            psql.execute("UPDATE jobs SET state = 'queued' WHERE id = %s", [revert_id])
            asking = threads.submit(revert, web, import_id)
            wait_until_blocked(connection, 1)
        assert asking.result() == revert_id
    assert reverts(connection) == [revert_id]


def test_a_revert_that_was_cancelled_can_be_tried_again_and_goes_on(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    import_id = imported(connection, 3)
    revert_id = revert(web, import_id)
    assert web.post(f"/jobs/{revert_id}/cancel").json()["state"] == "cancelled"
    assert work_off() == 0
    assert count_contacts(connection) == 3
    answer = web.post(f"/jobs/{revert_id}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert work_off() == 0
    assert web.job(revert_id)["state"] == "succeeded"
    assert web.job(str(import_id))["revertedRows"] == 3
    assert refusal(web.post(f"/jobs/{revert_id}/retry")) == (409, "job_finished")


def test_after_a_revert_that_was_cancelled_another_can_be_queued_and_counts_on(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    import_id = imported(connection, 5)
    cancelled = revert(web, import_id)
    connection.execute("DELETE FROM contacts WHERE email IN ('user0@example.com', 'user1@example.com')")
    connection.execute("UPDATE jobs SET reverted_rows = 2 WHERE id = ANY (%s)", [[import_id, UUID(cancelled)]])
    web.post(f"/jobs/{cancelled}/cancel")
    other = revert(web, import_id)
    assert other != cancelled
    assert refusal(web.post(f"/jobs/{cancelled}/retry")) == (409, "job_unfinished")
    assert work_off() == 0
    assert [web.job(each)["revertedRows"] for each in (cancelled, other, str(import_id))] == [2, 3, 5]
    before = web.job(str(import_id))
    # To try the old one again does nothing any more.
    assert web.post(f"/jobs/{cancelled}/retry").status_code == 202
    assert work_off() == 0
    assert web.job(str(import_id)) == before
    assert revert(web, import_id) in (cancelled, other)


def test_contacts_that_the_import_has_changed_are_reported_as_not_reverted(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    import_id = imported(connection, 2, rows_updated=7)
    revert_id = revert(web, import_id)
    assert work_off() == 0
    assert web.job(revert_id)["detected"] == {"rowsNotReverted": 7}
    assert web.job(str(import_id))["revertedRows"] == 2


def test_an_import_that_has_created_nothing_is_reverted_at_once(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    imported(connection, 2)
    import_id = imported(connection, 0)
    revert_id = revert(web, import_id)
    assert work_off() == 0
    assert (web.job(revert_id)["state"], web.job(str(import_id))["revertedRows"]) == ("succeeded", 0)
    assert web.job(str(import_id))["revertedAt"] is not None
    assert count_contacts(connection) == 2


@pytest.mark.parametrize("state", ["uploading", "queued", "running", "failed", "cancelled"])
def test_an_import_that_has_not_succeeded_cannot_be_reverted(state: str, web: Web, connection: db.Connection) -> None:
    import_id = web.post(data=CONTENT, headers=CSV).json()["jobId"]
    connection.execute(
        "UPDATE jobs SET state = %s, worker = 'w', heartbeat_at = now() WHERE id = %s", [state, import_id]
    )
    answer = web.post(f"/jobs/{import_id}/revert")
    assert refusal(answer) == (409, "not_revertible")
    assert state in answer.json()["error"]
    assert reverts(connection) == []


def test_a_dry_run_cannot_be_reverted(web: Web, connection: db.Connection, work_off: Callable[[], int]) -> None:
    import_id = web.post("/import?dryRun=true", data=CONTENT, headers=CSV).json()["jobId"]
    assert work_off() == 0
    answer = web.post(f"/jobs/{import_id}/revert")
    assert refusal(answer) == (409, "not_revertible")
    assert "dry run" in answer.json()["error"]
    assert reverts(connection) == []


def test_a_revert_cannot_be_reverted(web: Web, connection: db.Connection, work_off: Callable[[], int]) -> None:
    revert_id = revert(web, imported(connection, 1))
    assert refusal(web.post(f"/jobs/{revert_id}/revert")) == (409, "not_revertible")
    assert work_off() == 0
    assert refusal(web.post(f"/jobs/{revert_id}/revert")) == (409, "not_revertible")
    assert reverts(connection) == [revert_id]


def test_a_job_that_does_not_exist_is_answered_404(web: Web) -> None:
    assert refusal(web.post(f"/jobs/{uuid4()}/revert")) == (404, "job_not_found")


def test_an_unknown_parameter_is_refused_and_nothing_is_queued(web: Web, connection: db.Connection) -> None:
    answer = web.post(f"/jobs/{imported(connection, 1)}/revert?force=true")
    assert refusal(answer) == (400, "invalid_request")
    assert reverts(connection) == []


def test_a_revert_can_be_forgotten_when_it_has_ended(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    revert_id = revert(web, imported(connection, 1))
    assert refusal(web.request("DELETE", f"/jobs/{revert_id}")) == (409, "job_unfinished")
    assert work_off() == 0
    assert web.request("DELETE", f"/jobs/{revert_id}").status_code == 204
    assert web.job(revert_id)["state"] == "succeeded"


def test_an_old_revert_goes_with_the_jobs_past_their_retention(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    revert(web, imported(connection, 1))
    assert work_off() == 0
    connection.execute("UPDATE jobs SET finished_at = finished_at - interval '2 days'")
    assert retention.delete_old_jobs(connection, days=1) == 2
    assert reverts(connection) == []
