"""POST /jobs/{id}/cancel, POST /jobs/{id}/retry and DELETE /jobs/{id} over real HTTP, and the same typed into psql.

Where a test needs a storage that stalls or fails in its own way, it takes `server_web`, which has the double.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import psycopg
import pytest
import requests

from dataflow import db
from dataflow.errors import JobError
from dataflow.queue import jobs, retention
from dataflow.queue.retention import File, Leftover
from dataflow.queue.scope import ALL
from dataflow.storage.base import Storage
from tests.doubles.storage.process import StorageDouble
from tests.support.objects import is_there
from tests.support.processes import Web, WorkerProcess
from tests.support.waiting import eventually

RUNS_OVER = ("local", "supabase")
MIB = 1 << 20
CSV = {"Content-Type": "text/csv", "X-Source": "crm"}
GOOD = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\n"
BAD = b"name,email\nno,address\n"
#: More than a chunk, so that every storage has some of it before the end.
BEGUN = GOOD + b"\n" * (7 * MIB)
BEAT_SECONDS = 5.0
#: About 5,000 rows a second while `pace` has a row.
SLOW = """
CREATE TABLE pace AS SELECT 1;
CREATE SEQUENCE seen;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('seen') % 100 = 0 AND EXISTS (SELECT FROM pace) THEN PERFORM pg_sleep(0.02); END IF;
    RETURN new;
END $$;
CREATE TRIGGER slow BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION slow()
"""
LONG_ROWS = 60_000
LONG = b"name,email\n" + b"N,user@example.com\n" * LONG_ROWS

Cancel = Callable[[Web, db.Connection, str], None]
Rows = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def rows(connection: db.Connection) -> Rows:
    return lambda: connection.execute("SELECT *, id::text AS id FROM jobs ORDER BY jobs.id").fetchall()


@pytest.fixture
def slow_contacts(connection: db.Connection) -> Iterator[None]:
    connection.execute(SLOW.encode())
    yield
    connection.execute("DROP FUNCTION slow CASCADE; DROP SEQUENCE seen; DROP TABLE pace")


@pytest.fixture(scope="module")
def server_variables(double: StorageDouble) -> dict[str, str]:
    key = {"SUPABASE_URL": double.project_url, "SUPABASE_SERVICE_ROLE_KEY": double.key()}
    return {**key, "UPLOAD_RETRY_SECONDS": "0,0.5,0.5"}


@pytest.fixture(scope="module")
def server_web(database: str, state_folder: Path, server_variables: dict[str, str]) -> Iterator[Web]:
    """A web process whose storage is the double, whatever that of the test is."""
    started = Web.start({"DATABASE_URL": database, "DATA_DIR": state_folder, **server_variables})
    yield started
    started.stop()


@pytest.fixture
def no_storage(storage_kind: str, state_folder: Path, request: pytest.FixtureRequest) -> Callable[[], Any]:
    """A context in which the storage refuses to remove anything."""

    @contextmanager
    def refusing_server() -> Iterator[None]:
        double: StorageDouble = request.getfixturevalue("fresh_double")
        double.fault("answer", "DELETE", status=503, times=100)
        yield
        double.clear_faults()

    @contextmanager
    def no_folder() -> Iterator[None]:
        folder, aside = state_folder / "objects" / "imports", state_folder / "aside"
        folder.rename(aside)
        folder.touch()
        yield
        folder.unlink()
        aside.rename(folder)

    return no_folder if storage_kind == "local" else refusing_server


def submit(web: Web, content: bytes = GOOD) -> str:
    answer = web.post(data=content, headers=CSV)
    assert answer.status_code == 200, answer.text
    job_id: str = answer.json()["jobId"]
    return job_id


def cancel_over_http(web: Web, _: db.Connection, job_id: str) -> None:
    answer = web.post(f"/jobs/{job_id}/cancel")
    assert answer.status_code == 202, answer.text


def cancel_in_psql(_: Web, connection: db.Connection, job_id: str) -> None:
    connection.execute("UPDATE jobs SET state = 'cancelled' WHERE id = %s", [job_id])


CANCELS: dict[str, Cancel] = {"HTTP": cancel_over_http, "psql": cancel_in_psql}


def ask(web: Web, action: str, job_id: str) -> requests.Response:
    """`cancel`, `retry` or `DELETE`."""
    if action == "DELETE":
        return requests.delete(f"{web.url}/jobs/{job_id}", timeout=60)
    return web.post(f"/jobs/{job_id}/{action}")


def refusal(answer: requests.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["status"] == answer.status_code
    return body["status"], body["code"]


def is_stored(storage: Storage, job_id: str) -> bool:
    return is_there(storage, f"{job_id}.csv")


def count_contacts(connection: db.Connection) -> int:
    [row] = connection.execute("SELECT count(*) AS contacts FROM contacts").fetchall()
    return int(row["contacts"])


class Sending:
    """An upload whose client goes on sending until `answer` is asked for."""

    def __init__(self, web: Web, content: bytes) -> None:
        self._web, self._content = web, content
        self._is_over = threading.Event()
        self._client = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._answer = self._client.submit(self._web.post, data=self._pieces(), headers=CSV)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._client.shutdown()

    def _pieces(self) -> Iterator[bytes]:
        yield self._content
        while not self._is_over.wait(0.1):
            yield b"\n" * 65_536
        yield b"Cid,cid@example.com\n"

    def answer(self) -> requests.Response:
        """Send the last bytes; the answer."""
        self._is_over.set()
        return self._answer.result()


# Cancelling


@pytest.mark.parametrize("how", CANCELS)
def test_a_queued_job_that_is_cancelled_is_not_run_and_its_file_is_kept(
    how: str, web: Web, connection: db.Connection, work_off: Callable[[], int], storage: Storage
) -> None:
    job_id = submit(web)
    CANCELS[how](web, connection, job_id)
    assert work_off() == 0
    job = web.job(job_id)
    assert (job["state"], job["attempt"], job["objectDeletedAt"]) == ("cancelled", 0, None)
    assert job["finishedAt"]
    assert is_stored(storage, job_id)
    assert count_contacts(connection) == 0


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize(("action", "state"), [("cancel", "cancelled"), ("retry", "queued")])
def test_what_is_accepted_is_answered_202_with_the_job_and_its_address(
    action: str, state: str, prefix: str, web: Web
) -> None:
    job_id = submit(web)
    if action == "retry":
        ask(web, "cancel", job_id)
    answer = web.post(f"{prefix}/jobs/{job_id}/{action}")
    assert answer.status_code == 202
    assert answer.json() == web.get(f"{prefix}/jobs/{job_id}").json()
    assert answer.json()["state"] == state
    assert answer.headers["Location"] == f"{prefix}/jobs/{job_id}"


@pytest.mark.parametrize("state", jobs.FINAL_STATES)
def test_a_job_that_has_ended_cannot_be_cancelled(state: str, web: Web, work_off: Callable[[], int]) -> None:
    job_id = submit(web, BAD if state == "failed" else GOOD)
    if state == "cancelled":
        ask(web, "cancel", job_id)
    work_off()
    before = web.job(job_id)
    assert before["state"] == state
    assert refusal(ask(web, "cancel", job_id)) == (409, "job_finished")
    assert web.job(job_id) == before


@pytest.mark.one_storage
def test_an_upload_that_is_cancelled_ends_at_its_next_beat_and_nothing_of_it_is_left(
    web: Web,
    server_web: Web,
    fresh_double: StorageDouble,
    connection: db.Connection,
    rows: Rows,
    stored_files: Callable[[], list[Path]],
) -> None:
    """Four at once, because each takes a beat: either storage, cancelled over HTTP and in psql."""
    with ExitStack() as stack:
        sendings = [stack.enter_context(Sending(each, BEGUN)) for each in (web, web, server_web, server_web)]
        eventually(lambda: [row["state"] for row in rows()] == ["uploading"] * 4)
        bytes_of_server = fresh_double.folder / "bytes"
        eventually(lambda: stored_files() and sum(row["upload_url"] is not None for row in rows()) == 2)
        for number, row in enumerate(rows()):
            CANCELS["HTTP" if number % 2 else "psql"](web, connection, row["id"])
        eventually(lambda: all(row["object_deleted_at"] for row in rows()))
        answers = [sending.answer() for sending in sendings]
    assert [refusal(answer) for answer in answers] == [(409, "upload_cancelled")] * 4
    for row in rows():
        assert row["state"] == "cancelled"
        assert (row["object_deleted_at"] - row["finished_at"]).total_seconds() < BEAT_SECONDS + 2
    assert [*stored_files(), *(path for path in bytes_of_server.rglob("*") if path.is_file())] == []


@pytest.mark.parametrize("content", [GOOD, BEGUN], ids=["small", "large"])
def test_an_upload_that_is_cancelled_before_its_end_leaves_no_file_and_cannot_be_tried_again(
    content: bytes, web: Web, rows: Rows, stored_files: Callable[[], list[Path]]
) -> None:
    with Sending(web, content) as sending:
        [row] = eventually(rows)
        job_id = row["id"]
        ask(web, "cancel", job_id)
        assert refusal(sending.answer()) == (409, "upload_cancelled")
    job = web.job(job_id)
    assert job["state"] == "cancelled"
    assert job["objectDeletedAt"]
    assert stored_files() == []
    assert refusal(ask(web, "retry", job_id)) == (409, "object_forgotten")
    assert web.job(job_id) == job


def test_an_upload_that_is_cancelled_and_forgotten_while_it_arrives_leaves_no_file(
    web: Web, rows: Rows, stored_files: Callable[[], list[Path]]
) -> None:
    with Sending(web, BEGUN) as sending:
        eventually(stored_files)
        job_id = rows()[0]["id"]
        ask(web, "cancel", job_id)
        assert ask(web, "DELETE", job_id).status_code == 204
        assert stored_files() == []
        # What the storage says of an upload that was removed under its feet is nothing to tell the client.
        assert refusal(sending.answer()) == (409, "upload_cancelled")
    assert stored_files() == []


@pytest.mark.one_storage
def test_a_cancelled_upload_whose_file_cannot_be_removed_is_left_to_the_sweep(
    server_web: Web, fresh_double: StorageDouble, connection: db.Connection, rows: Rows
) -> None:
    fresh_double.fault("answer", "DELETE", status=503, times=100)
    with Sending(server_web, GOOD) as sending:
        job_id = eventually(rows)[0]["id"]
        ask(server_web, "cancel", job_id)
        assert refusal(sending.answer()) == (409, "upload_cancelled")
    assert server_web.job(job_id)["objectDeletedAt"] is None
    assert [str(leftover.id) for leftover in retention.leftovers(connection, 3600, 0)] == [job_id]


@pytest.mark.one_storage
def test_an_upload_that_is_cancelled_while_the_storage_fails_is_answered_as_cancelled(
    server_web: Web, fresh_double: StorageDouble, connection: db.Connection, rows: Rows
) -> None:
    fresh_double.fault("answer", "PATCH", status=503, times=100)
    with Sending(server_web, BEGUN) as sending:
        eventually(lambda: any(entry["method"] == "PATCH" for entry in fresh_double.journal()))
        cancel_in_psql(server_web, connection, rows()[0]["id"])
        assert refusal(sending.answer()) == (409, "upload_cancelled")
    assert rows()[0]["object_deleted_at"]


@pytest.mark.one_storage
def test_a_running_import_that_is_cancelled_stops_within_a_heartbeat_and_keeps_no_row(
    server_web: Web,
    fresh_double: StorageDouble,
    server_variables: dict[str, str],
    start_worker: Callable[..., WorkerProcess],
    slow_contacts: None,
    connection: db.Connection,
) -> None:
    """Three at once, because each takes a beat: over HTTP, in psql, and while its storage says nothing more."""
    by_http, in_psql, stalled = (submit(server_web, LONG) for _ in range(3))
    fresh_double.fault("stall", "GET", stalled, after_bytes=1000, times=100)
    worker = start_worker(**server_variables)
    eventually(lambda: all(server_web.job(job_id)["rowsImported"] for job_id in (by_http, in_psql)))
    eventually(lambda: server_web.job(stalled)["state"] == "running")
    began = time.monotonic()
    cancel_over_http(server_web, connection, by_http)
    cancel_in_psql(server_web, connection, in_psql)
    cancel_over_http(server_web, connection, stalled)
    eventually(lambda: worker.log().count("import given up") == 3)
    assert time.monotonic() - began < BEAT_SECONDS + 3
    ended = [server_web.job(job_id) for job_id in (by_http, in_psql, stalled)]
    assert [(job["state"], job["rowsImported"], job["failures"]) for job in ended] == [("cancelled", 0, 0)] * 3
    assert count_contacts(connection) == 0


@pytest.mark.one_storage
def test_a_running_import_that_is_cancelled_and_at_once_retried_is_imported_once(
    web: Web, start_worker: Callable[..., WorkerProcess], slow_contacts: None, connection: db.Connection
) -> None:
    """For a moment two attempts are at work."""
    worker = start_worker()
    job_id = submit(web, LONG)
    eventually(lambda: web.job(job_id)["rowsImported"])
    assert [ask(web, action, job_id).status_code for action in ("cancel", "retry")] == [202, 202]
    eventually(lambda: worker.log().count("import started") == 2)
    connection.execute("DELETE FROM pace")
    job = web.finished_job(job_id)
    assert (job["state"], job["attempt"], job["rowsImported"]) == ("succeeded", 2, LONG_ROWS)
    eventually(lambda: "import given up" in worker.log())
    assert count_contacts(connection) == LONG_ROWS


# Trying again


def test_a_failed_job_that_is_retried_after_its_cause_is_repaired_succeeds_with_a_new_budget(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    connection.execute("ALTER TABLE contacts ADD CONSTRAINT short CHECK (length(email) < 5)")
    job_id = submit(web)
    assert work_off() == 1
    job = web.job(job_id)
    assert (job["state"], job["failures"], job["objectDeletedAt"]) == ("failed", 1, None)
    connection.execute("ALTER TABLE contacts DROP CONSTRAINT short")
    job = ask(web, "retry", job_id).json()
    assert (job["state"], job["failures"], job["error"], job["finishedAt"]) == ("queued", 0, None, None)
    assert work_off() == 0
    job = web.job(job_id)
    assert (job["state"], job["attempt"], job["rowsImported"]) == ("succeeded", 2, 2)
    assert count_contacts(connection) == 2


def test_a_cancelled_job_that_is_retried_succeeds(web: Web, work_off: Callable[[], int]) -> None:
    job_id = submit(web)
    assert [ask(web, action, job_id).status_code for action in ("cancel", "retry")] == [202, 202]
    assert work_off() == 0
    assert web.job(job_id)["state"] == "succeeded"


@pytest.mark.one_storage
@pytest.mark.parametrize("how", ["HTTP", "psql"])
def test_a_failed_job_that_is_queued_again_wakes_a_worker_at_once(
    how: str, web: Web, start_worker: Callable[..., WorkerProcess], connection: db.Connection
) -> None:
    job_id = submit(web, BAD)
    start_worker(WORKER_POLL_INTERVAL=3_600_000)
    web.finished_job(job_id)
    if how == "HTTP":
        assert ask(web, "retry", job_id).status_code == 202
    else:
        connection.execute("UPDATE jobs SET state = 'queued' WHERE id = %s", [job_id])
    job = eventually(lambda: (found := web.job(job_id))["attempt"] == 2 and found["finishedAt"] and found)
    assert (job["state"], job["failures"]) == ("failed", 1)


def in_state(web: Web, connection: db.Connection, state: str) -> str:
    """A job in a state that is not final, which nobody works on."""
    job_id = submit(web)
    if state != "queued":
        change = "UPDATE jobs SET state = %s, worker = 'w', heartbeat_at = now() WHERE id = %s"
        connection.execute(change, [state, job_id])
    return job_id


@pytest.mark.parametrize("action", ["retry", "DELETE"])
@pytest.mark.parametrize("state", ["uploading", "queued", "running"])
def test_a_job_that_has_not_ended_can_neither_be_retried_nor_forgotten(
    state: str, action: str, web: Web, connection: db.Connection, storage: Storage
) -> None:
    job_id = in_state(web, connection, state)
    assert refusal(ask(web, action, job_id)) == (409, "job_unfinished")
    assert web.job(job_id)["state"] == state
    assert is_stored(storage, job_id)


def test_a_job_that_has_succeeded_cannot_be_retried(web: Web, work_off: Callable[[], int]) -> None:
    job_id = submit(web)
    work_off()
    assert refusal(ask(web, "retry", job_id)) == (409, "job_finished")
    assert web.job(job_id)["state"] == "succeeded"


# Forgetting


def test_a_job_that_is_forgotten_keeps_nothing_of_people(
    web: Web, work_off: Callable[[], int], stored_files: Callable[[], list[Path]]
) -> None:
    form = {"file": ("Ann Smith.csv", b"name,email\nAnn,ann@example.com\nBob,bob\n", "text/csv")}
    answer = web.post(files=form, data={"source": "crm", "onInvalid": "abort"})
    job_id = answer.json()["jobId"]
    assert work_off() == 1
    job = web.job(job_id)
    assert (job["fileName"], len(job["issues"])) == ("Ann Smith.csv", 1)
    assert stored_files()
    forgotten = ask(web, "DELETE", job_id)
    assert (forgotten.status_code, forgotten.content) == (204, b"")
    assert stored_files() == []
    after = web.job(job_id)
    assert after["objectDeletedAt"]
    detected = {name: job["detected"][name] for name in ("encoding", "delimiter", "headerLine", "hasByteOrderMark")}
    less = {"fileName": None, "issues": [], "detected": detected, "objectDeletedAt": after["objectDeletedAt"]}
    assert after == {**job, **less}
    for form in ("json", "csv", "ndjson"):
        assert refusal(web.get(f"/jobs/{job_id}/rejects?format={form}")) == (410, "rejects_gone")
    assert ask(web, "DELETE", job_id).status_code == 204
    assert web.job(job_id) == after


def test_a_job_whose_file_is_forgotten_cannot_be_tried_again(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    job_id = submit(web, BAD)
    work_off()
    ask(web, "DELETE", job_id)
    assert refusal(ask(web, "retry", job_id)) == (409, "object_forgotten")
    with pytest.raises(psycopg.errors.RaiseException, match="its file is not kept"):
        connection.execute("UPDATE jobs SET state = 'queued' WHERE id = %s", [job_id])
    assert web.job(job_id)["state"] == "failed"


def test_a_success_can_be_forgotten_too(web: Web, connection: db.Connection, work_off: Callable[[], int]) -> None:
    job_id = submit(web)
    work_off()
    assert ask(web, "DELETE", job_id).status_code == 204
    assert (web.job(job_id)["state"], count_contacts(connection)) == ("succeeded", 2)
    assert web.get(f"/jobs/{job_id}/rejects").json()["rejects"] == []


def test_without_its_storage_a_job_is_given_up_and_its_file_removed_later(
    web: Web, no_storage: Callable[[], Any], work_off: Callable[[], int], storage: Storage, connection: db.Connection
) -> None:
    job_id = submit(web, BAD)
    work_off()
    with no_storage():
        answer = ask(web, "DELETE", job_id)
        assert refusal(answer) == (503, "storage_unavailable")
        assert "Retry-After" in answer.headers
    assert is_stored(storage, job_id)
    assert refusal(ask(web, "retry", job_id)) == (409, "object_forgotten")
    assert [str(leftover.id) for leftover in retention.leftovers(connection, 3600, 0)] == [job_id]
    assert ask(web, "DELETE", job_id).status_code == 204
    assert not is_stored(storage, job_id)
    assert retention.leftovers(connection, 0, 0) == []


@pytest.mark.one_storage
def test_a_job_whose_file_was_removed_without_an_answer_cannot_be_tried_again(
    server_web: Web, fresh_double: StorageDouble
) -> None:
    job_id = submit(server_web)
    ask(server_web, "cancel", job_id)
    fresh_double.fault("reset", "DELETE", times=100)
    assert refusal(ask(server_web, "DELETE", job_id)) == (503, "storage_unavailable")
    assert refusal(ask(server_web, "retry", job_id)) == (409, "object_forgotten")


@pytest.mark.one_storage
def test_a_storage_that_stalls_holds_up_no_request_for_long_and_no_other_request_at_all(
    server_web: Web, fresh_double: StorageDouble
) -> None:
    """More removals at once than the process has database connections."""
    job_ids = [submit(server_web) for _ in range(12)]
    for job_id in job_ids:
        ask(server_web, "cancel", job_id)
    fresh_double.fault("stall", "DELETE", times=100)
    began, slowest = time.monotonic(), 0.0
    with ThreadPoolExecutor(len(job_ids)) as clients:
        answers = [clients.submit(ask, server_web, "DELETE", job_id) for job_id in job_ids]
        while not all(answer.done() for answer in answers):
            asked = time.monotonic()
            assert server_web.get("/jobs").status_code == 200
            slowest = max(slowest, time.monotonic() - asked)
    assert {refusal(answer.result()) for answer in answers} == {(503, "storage_unavailable")}
    assert time.monotonic() - began < 15
    assert slowest < 1
    fresh_double.clear_faults()
    fresh_double.release()
    assert [ask(server_web, "DELETE", job_id).status_code for job_id in job_ids] == [204] * len(job_ids)


# Whatever the action


@pytest.mark.parametrize("action", ["cancel", "retry", "DELETE"])
def test_a_job_that_does_not_exist_is_answered_404(action: str, web: Web) -> None:
    assert refusal(ask(web, action, str(uuid4()))) == (404, "job_not_found")


@pytest.mark.parametrize(("method", "path"), [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")])
def test_an_unknown_parameter_is_refused_and_nothing_is_done(
    method: str, path: str, web: Web, work_off: Callable[[], int]
) -> None:
    job_id = submit(web, BAD)
    if path != "/cancel":
        work_off()
    before = web.job(job_id)
    answer = requests.request(method, f"{web.url}/v1/jobs/{job_id}{path}?force=true", timeout=10)
    assert refusal(answer) == (400, "invalid_request")
    assert answer.json()["issues"][0]["path"] == ["force"]
    assert web.job(job_id) == before


@pytest.mark.one_storage
def test_a_row_that_a_psql_session_holds_keeps_no_request_waiting_for_long(
    web: Web, database: str, connection: db.Connection
) -> None:
    job_id = submit(web)
    with db.connect(database, "dataflow/test") as psql, psql.transaction():
        psql.execute("SELECT FROM jobs FOR UPDATE")
        began = time.monotonic()
        answer = ask(web, "cancel", job_id)
        assert time.monotonic() - began < 6
    assert refusal(answer) == (503, "database_unavailable")
    assert "Retry-After" in answer.headers
    assert ask(web, "cancel", job_id).status_code == 202


# Retried and forgotten at the same time


def retry_in_psql(connection: db.Connection, job_id: UUID) -> None:
    connection.execute("UPDATE jobs SET state = 'queued' WHERE id = %s", [job_id])


def give_up(connection: db.Connection, job_id: UUID) -> File | None:
    """What the sweep does."""
    row = connection.execute("SELECT id, finished_at FROM jobs WHERE id = %s", [job_id]).fetchone()
    assert row is not None
    return None if row["finished_at"] is None else retention.give_up_file(connection, Leftover(**row))


Retry = Callable[[db.Connection, UUID], None]
RETRIES: dict[str, tuple[Retry, type[Exception], str]] = {
    "HTTP": (partial(jobs.retry, scope=ALL), JobError, "object_forgotten"),
    "psql": (retry_in_psql, psycopg.errors.RaiseException, ""),
}
REMOVALS: dict[str, Callable[[db.Connection, UUID], File | None]] = {
    "DELETE": partial(retention.forget, scope=ALL),
    "sweep": give_up,
}


@pytest.mark.parametrize("retried", RETRIES)
@pytest.mark.parametrize("removed", REMOVALS)
@pytest.mark.one_storage
def test_a_retry_that_comes_while_the_file_is_given_up_waits_and_finds_it_gone(
    removed: str, retried: str, web: Web, database: str, connection: db.Connection
) -> None:
    job_id = UUID(submit(web))
    cancel_in_psql(web, connection, str(job_id))
    retry, refused, code = RETRIES[retried]
    with ExitStack() as stack:
        remover, retrier = (stack.enter_context(db.connect(database, "dataflow/test")) for _ in range(2))
        clients = stack.enter_context(ThreadPoolExecutor(1))
        with remover.transaction():
            assert REMOVALS[removed](remover, job_id) is not None
            waiting = clients.submit(retry, retrier, job_id)
            eventually(lambda: is_waiting(connection, retrier))
        with pytest.raises(refused) as refusal:
            waiting.result()
        assert getattr(refusal.value, "code", "") == code
    assert web.job(str(job_id))["state"] == "cancelled"


def is_waiting(connection: db.Connection, other: db.Connection) -> bool:
    """For a lock."""
    found = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    return connection.execute(found, [other.info.backend_pid]).fetchone() is not None


@pytest.mark.one_storage
@pytest.mark.parametrize("removed", REMOVALS)
def test_a_file_whose_job_is_being_retried_is_not_removed(
    removed: str, web: Web, database: str, connection: db.Connection
) -> None:
    job_id = UUID(submit(web))
    cancel_in_psql(web, connection, str(job_id))
    with ExitStack() as stack:
        remover, retrier = (stack.enter_context(db.connect(database, "dataflow/test")) for _ in range(2))
        clients = stack.enter_context(ThreadPoolExecutor(1))
        with retrier.transaction():
            jobs.retry(retrier, job_id, ALL)
            removing = clients.submit(REMOVALS[removed], remover, job_id)
            # The sweep has other files to look after and does not wait.
            eventually(lambda: is_waiting(connection, remover) or removing.done())
        refused = removing.exception()
        if removed == "DELETE":
            assert isinstance(refused, JobError) and refused.code == "job_unfinished"
        else:
            assert removing.result() is None
    assert web.job(str(job_id))["state"] == "queued"


def test_retries_and_removals_at_the_same_moment_never_queue_a_job_without_its_file(
    web: Web, storage: Storage, work_off: Callable[[], int]
) -> None:
    outcomes = set()
    with ThreadPoolExecutor(2) as clients:
        for number in range(12):
            job_id = submit(web)
            ask(web, "cancel", job_id)
            order = ["retry", "DELETE"] if number % 2 else ["DELETE", "retry"]
            answers = clients.map(lambda action, job_id=job_id: ask(web, action, job_id), order)
            codes = dict(zip(order, (answer.status_code for answer in answers), strict=True))
            outcomes.add((codes["retry"], codes["DELETE"], web.job(job_id)["state"], is_stored(storage, job_id)))
    assert outcomes <= {(202, 409, "queued", True), (409, 204, "cancelled", False)}
    assert work_off() == 0
