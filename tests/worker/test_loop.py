"""The listener as a real process: it wakes at once, finds what it missed, and ends in an orderly way."""

import signal
import time
from collections.abc import Callable

import psycopg
import pytest

from dataflow import db
from dataflow.config import Config
from dataflow.storage.base import Storage
from dataflow.storage.registry import open_storage
from dataflow.worker.loop import Worker
from dataflow.worker.runner import retry_delay_seconds
from tests.support.jobs import claimed, enqueue
from tests.support.logged import logged_by
from tests.support.objects import is_there, read, store
from tests.support.processes import Web, WorkerProcess
from tests.support.waiting import eventually

RUNS_OVER = ("local", "supabase")
CSV = {"headers": {"Content-Type": "text/csv", "X-Source": "s"}}


def rows(count: int) -> bytes:
    return b"name,email\n" + b"".join(b"N,user%d@example.com\n" % i for i in range(count))


def states(connection: db.Connection) -> list[str]:
    return [row["state"] for row in connection.execute("SELECT state FROM jobs ORDER BY id").fetchall()]


def test_once_works_off_what_is_due_and_tells_by_its_exit_code(
    web: Web, work_off: Callable[[], int], connection: db.Connection
) -> None:
    assert work_off() == 0
    for _ in range(12):
        web.post(data=rows(3), **CSV)
    assert work_off() == 0
    assert states(connection) == ["succeeded"] * 12
    web.post(data=b"name,email\n", **CSV)
    assert work_off() == 1


@pytest.mark.one_storage
def test_once_leaves_no_counts_to_be_added_up(web: Web, work_off: Callable[[], int], connection: db.Connection) -> None:
    for _ in range(3):
        web.post(data=rows(2), **CSV)
    assert work_off() == 0
    assert connection.execute("SELECT jobs_succeeded, rows_imported FROM job_counts").fetchall() == [
        {"jobs_succeeded": 3, "rows_imported": 6}
    ]


def test_the_object_is_deleted_after_a_success_and_kept_after_a_failure(
    web: Web, work_off: Callable[[], int], storage: Storage
) -> None:
    good = web.post(data=rows(3), **CSV).json()["jobId"]
    bad = web.post(data=b"name,email\n", **CSV).json()["jobId"]
    work_off()
    assert web.job(good)["objectDeletedAt"] is not None
    assert web.job(bad)["objectDeletedAt"] is None
    assert read(storage, f"{bad}.csv") == b"name,email\n"
    assert not is_there(storage, f"{good}.csv")


def test_a_job_starts_at_once_though_the_poll_is_an_hour_away(
    web: Web, start_worker: Callable[..., WorkerProcess]
) -> None:
    start_worker(WORKER_POLL_INTERVAL=3_600_000)
    began = time.monotonic()
    job = web.finished_job(web.post(data=rows(1), **CSV).json()["jobId"])
    assert job["state"] == "succeeded"
    assert time.monotonic() - began < 5


def test_the_poll_finds_a_job_whose_notification_was_lost(
    web: Web, start_worker: Callable[..., WorkerProcess], connection: db.Connection
) -> None:
    start_worker(WORKER_POLL_INTERVAL=200)
    connection.execute("ALTER TABLE jobs DISABLE TRIGGER jobs_notify_queued")
    assert web.finished_job(web.post(data=rows(1), **CSV).json()["jobId"])["state"] == "succeeded"


def test_a_worker_whose_listening_session_is_cut_listens_again(
    web: Web, start_worker: Callable[..., WorkerProcess], connection: db.Connection
) -> None:
    start_worker(WORKER_POLL_INTERVAL=3_600_000)
    listening = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '%/listen'"
    )
    before = connection.execute(listening).fetchone()
    connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({listening}) l".encode())

    def listens_again() -> bool:
        now = connection.execute(listening).fetchone()
        return now is not None and now != before

    eventually(listens_again)
    assert web.finished_job(web.post(data=rows(1), **CSV).json()["jobId"])["state"] == "succeeded"


#: Up to 20,000 rows a second, in steps that let the server look up from its work.
SLOW = """
CREATE SEQUENCE seen;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('seen') % 100 = 0 THEN PERFORM pg_sleep(0.005); END IF;
    RETURN new;
END $$;
CREATE TRIGGER slow BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION slow()
"""


def running_job(web: Web, connection: db.Connection, size: int) -> str:
    """An import of `size` rows that has begun and takes its time."""
    connection.execute(SLOW.encode())
    job_id: str = web.post(data=rows(size), **CSV).json()["jobId"]
    eventually(lambda: web.job(job_id)["rowsImported"] > 0)
    return job_id


def test_sigterm_lets_a_running_import_finish_and_claims_no_other(
    web: Web, start_worker: Callable[..., WorkerProcess], connection: db.Connection
) -> None:
    worker = start_worker(WORKER_CONCURRENCY=1)
    running = running_job(web, connection, 20_000)
    waiting = web.post(data=rows(1), **CSV).json()["jobId"]
    assert worker.stop() == 0
    assert web.job(running)["state"] == "succeeded"
    assert web.job(waiting)["state"] == "queued"


@pytest.mark.one_storage
@pytest.mark.parametrize("end", ["grace period over", "second signal"])
def test_an_import_that_cannot_finish_is_rolled_back_and_handed_on_without_a_charge(
    end: str, web: Web, start_worker: Callable[..., WorkerProcess], connection: db.Connection
) -> None:
    worker = start_worker(SHUTDOWN_GRACE_SECONDS=0 if end == "grace period over" else 25)
    job_id = running_job(web, connection, 240_000)
    began = time.monotonic()
    worker.process.send_signal(signal.SIGTERM)
    if end == "second signal":
        eventually(lambda: "worker stopping" in worker.log())
        worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(30) == 0
    assert time.monotonic() - began < 10
    job = web.job(job_id)
    assert (job["state"], job["failures"], job["rowsImported"]) == ("queued", 0, 0)
    connection.execute("ALTER TABLE contacts DISABLE TRIGGER slow")
    start_worker()
    assert web.finished_job(job_id, 30)["rowsImported"] == 240_000


@pytest.mark.one_storage
def test_a_backlog_of_quick_jobs_does_not_keep_a_lost_one_from_being_found(
    make_config: Callable[..., Config], connection: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow.worker.heartbeat.INTERVAL_SECONDS", 0.01)
    lost = claimed(connection)
    connection.execute("UPDATE jobs SET heartbeat_at = now() - interval '1 minute', backend_start = NULL")
    for _ in range(150):
        enqueue(connection)
    config = make_config(WORKER_POLL_INTERVAL=10)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    Worker(config, open_storage(config)).run(once=True)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    # None has a file, so each is over as soon as it is claimed.
    found = "SELECT run_at AS at FROM jobs WHERE id = %(lost)s AND losses = 1"
    ended = "SELECT max(finished_at) AS at FROM jobs WHERE id <> %(lost)s"
    lost_at, ended_at = (connection.execute(query, {"lost": lost.id}).fetchone() for query in (found, ended))
    assert lost_at is not None and ended_at is not None
    assert lost_at["at"] < ended_at["at"]


def test_an_attempt_that_failed_for_a_passing_reason_is_tried_again_later(
    web: Web, work_off: Callable[[], int], connection: db.Connection, storage: Storage
) -> None:
    job_id = web.post(data=rows(3), **CSV).json()["jobId"]
    good = rows(3)
    store(storage, f"{job_id}.csv", [good.replace(b"user1", b"user9")])
    assert work_off() == 0
    job = web.job(job_id)
    assert (job["state"], job["failures"]) == ("queued", 1)
    assert job["error"].startswith("digest_mismatch: ")
    assert job["runAt"] > job["startedAt"]
    store(storage, f"{job_id}.csv", [good])
    connection.execute("UPDATE jobs SET run_at = now() WHERE id = %s", [job_id])
    assert work_off() == 0
    assert web.job(job_id)["state"] == "succeeded"


def test_a_job_that_has_spent_its_budget_fails(
    web: Web, work_off: Callable[[], int], connection: db.Connection, storage: Storage
) -> None:
    job_id = web.post(data=rows(3), **CSV).json()["jobId"]
    store(storage, f"{job_id}.csv", [rows(2)])
    connection.execute("UPDATE jobs SET failures = max_failures - 1 WHERE id = %s", [job_id])
    assert work_off() == 1
    assert web.job(job_id)["state"] == "failed"


def test_an_import_whose_connection_is_cut_is_requeued_and_leaves_no_row(
    web: Web, start_worker: Callable[..., WorkerProcess], connection: db.Connection
) -> None:
    start_worker()
    job_id = running_job(web, connection, 240_000)
    connection.execute("SELECT pg_terminate_backend(backend_pid) FROM jobs WHERE id = %s", [job_id])

    def requeued() -> bool:
        return web.job(job_id)["failures"] == 1

    eventually(requeued)
    assert web.job(job_id)["error"].startswith("database_unavailable: ")
    assert connection.execute("SELECT count(*) FROM contacts").fetchone() == {"count": 0}


def test_an_unexpected_error_fails_the_job_with_a_traceback_in_the_log_only(
    web: Web, work_off: Callable[[], int], connection: db.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = web.post(data=rows(3), **CSV).json()["jobId"]
    connection.execute("UPDATE jobs SET format = 'parquet' WHERE id = %s", [job_id])
    assert work_off() == 1
    job = web.job(job_id)
    assert job["error"] == "internal_error: An unexpected error; see the worker's log."
    assert any(record.exc_info for record in logged_by(caplog, "worker.runner"))


def test_a_database_that_is_not_there_ends_a_single_run_with_an_error(
    make_config: Callable[..., Config],
) -> None:
    from dataflow.errors import DatabaseUnavailable

    config = make_config(DATABASE_URL="postgresql://postgres@/x?host=/nonexistent")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with pytest.raises(DatabaseUnavailable):
        Worker(config, open_storage(config)).run(once=True)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("failures", "seconds"), [(0, 5), (1, 10), (3, 40), (20, 600)])
def test_retries_wait_longer_each_time_up_to_ten_minutes(failures: int, seconds: float) -> None:
    waits = [retry_delay_seconds(failures) for _ in range(200)]
    assert seconds * 0.5 <= min(waits) < max(waits) <= seconds * 1.5


def test_a_worker_logs_no_names_and_no_addresses(web: Web, start_worker: Callable[..., WorkerProcess]) -> None:
    worker = start_worker()
    body = b"name,email\nSecret Person,secret@example.com\nSecret Other,not-an-address\n"
    web.finished_job(web.post(data=body, **CSV).json()["jobId"])
    assert "import succeeded" in worker.log()
    assert "ecret" not in worker.log() + web.log()


def test_no_import_is_left_running_by_a_server_that_refuses_its_rows(
    web: Web, work_off: Callable[[], int], connection: db.Connection
) -> None:
    connection.execute("ALTER TABLE contacts ADD CONSTRAINT short CHECK (length(email) < 5)")
    job_id = web.post(data=rows(3), **CSV).json()["jobId"]
    assert work_off() == 1
    job = web.job(job_id)
    assert job["state"] == "failed"
    assert job["error"].startswith("database_error: The database refused: ")
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("INSERT INTO contacts (name, email, source) VALUES ('a', 'too long', 's')")
