"""Kinds of job: what the worker does with one that it knows nothing of, and with one that nobody knows."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import pytest

import dataflow
from dataflow import db
from dataflow.config import Config
from dataflow.errors import DataFlowError, ObjectMissing, StorageUnavailable
from dataflow.ids import uuid7
from dataflow.queue import jobs
from dataflow.queue.attempt import Attempt
from dataflow.queue.handler import Handler
from dataflow.queue.jobs import Job
from dataflow.queue.scope import ALL
from dataflow.storage.base import Storage
from dataflow.worker.handlers import HANDLERS
from tests.support.imported import row_of
from tests.support.waiting import eventually


def queued(connection: db.Connection, kind: str = "export") -> UUID:
    """A job as a newer release, or a person in psql, would queue it."""
    job_id = uuid7()
    statement = "INSERT INTO jobs (id, kind, state, source) VALUES (%s, %s, 'queued', 's')"
    connection.execute(statement, [job_id, kind])
    return job_id


class ExportHandler(Handler):
    """A third kind: it counts to three, and fails of what it is told to."""

    fails: ClassVar[list[Exception]] = []
    refuses: ClassVar[list[Exception]] = []
    breaks: ClassVar[list[Exception]] = []
    goes_on: ClassVar[threading.Event]
    called: ClassVar[list[str]]
    attempts: ClassVar[list[Attempt]]

    def __init__(self, attempt: Attempt, _storage: Storage, _config: Config) -> None:
        super().__init__(attempt)
        self.attempts.append(attempt)

    @property
    def subject(self) -> dict[str, object]:
        return {"to": "nowhere"}

    @property
    def counts(self) -> dict[str, int]:
        return {"exported": self.progress.rows_read}

    def run(self, connection: db.Connection) -> None:
        self.progress.rows_read = self.progress.rows_imported = self.progress.bytes_done = 3
        assert self.goes_on.wait(10)
        self.attempt.check()
        if self.fails:
            raise self.fails.pop()
        with connection.transaction():
            self.attempt.is_settling = True
            jobs.succeed(connection, self.attempt.job, self.progress)

    def on_failure(self, connection: db.Connection, refusal: DataFlowError | None) -> str:
        self.called.append("on_failure")
        if refusal is None and self.refuses:
            raise self.refuses.pop()
        connection.execute("UPDATE jobs SET file_name = 'kept' WHERE id = %s", [self.attempt.job.id])
        return f" Not kept: {refusal.message}" if refusal else " Kept."

    def after_commit(self, connection: db.Connection) -> None:
        row = connection.execute("SELECT state FROM jobs WHERE id = %s", [self.attempt.job.id]).fetchone()
        self.called.append(f"after_commit: {row and row['state']}")
        if self.breaks:
            raise self.breaks.pop()

    def close(self) -> None:
        self.called.append("close")


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[ExportHandler]]:
    """The third kind, which is one line."""
    monkeypatch.setitem(HANDLERS, "export", ExportHandler)
    ExportHandler.goes_on, ExportHandler.called, ExportHandler.attempts = threading.Event(), [], []
    ExportHandler.goes_on.set()
    yield ExportHandler
    assert (ExportHandler.fails, ExportHandler.refuses, ExportHandler.breaks) == ([], [], [])


def test_a_job_of_a_kind_that_nobody_knows_fails_and_says_so_and_is_not_tried_again(
    connection: db.Connection,
    work_off: Callable[[], int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(HANDLERS, "export")
    job_id = queued(connection)
    with caplog.at_level(logging.INFO):
        assert work_off() == 1
    row = row_of(connection, job_id)
    assert (row["state"], row["attempt"], row["failures"]) == ("failed", 1, 1)
    assert (
        row["error"] == "unknown_kind: This worker does jobs of the kinds import, revert; this one is of kind export."
    )
    (line,) = [record for record in caplog.records if record.message == "export failed"]
    assert vars(line)["code"] == "unknown_kind"


def test_a_third_kind_is_run_and_logged_and_cleans_up_after_its_commit(
    connection: db.Connection,
    export: type[ExportHandler],
    work_off: Callable[[], int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    job_id = queued(connection)
    with caplog.at_level(logging.INFO):
        assert work_off() == 0
    row = row_of(connection, job_id)
    assert (row["state"], row["rows_read"], row["bytes_done"]) == ("succeeded", 3, 3)
    assert export.called == ["after_commit: succeeded", "close"]
    started, succeeded = [vars(record) for record in caplog.records if record.message.startswith("export ")]
    assert (started["message"], started["to"], started["job_id"]) == ("export started", "nowhere", str(job_id))
    assert (succeeded["message"], succeeded["exported"], succeeded["bytes"]) == ("export succeeded", 3, 3)


def test_the_beats_write_the_progress_of_a_third_kind_and_stop_it_when_it_is_cancelled(
    connection: db.Connection,
    export: type[ExportHandler],
    work_off: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dataflow.worker.heartbeat.INTERVAL_SECONDS", 0.02)
    export.goes_on.clear()
    job_id = queued(connection)

    def cancel_in_the_middle() -> None:
        eventually(lambda: row_of(connection, job_id)["bytes_done"] == 3)
        assert row_of(connection, job_id)["rows_read"] == 3
        jobs.cancel(connection, job_id, ALL)
        eventually(lambda: export.attempts[-1].stopped is not None)
        export.goes_on.set()

    cancelling = threading.Thread(target=cancel_in_the_middle)
    cancelling.start()
    assert work_off() == 0
    cancelling.join()
    assert row_of(connection, job_id)["state"] == "cancelled"
    assert export.called == ["close"]


@pytest.mark.parametrize(
    ("error", "state", "text", "called"),
    [
        (ObjectMissing("It is gone."), "failed", "object_missing: It is gone. Kept.", ["on_failure", "close"]),
        (StorageUnavailable("Later."), "queued", "storage_unavailable: Later.", ["close"]),
    ],
    ids=["for good", "for now"],
)
def test_what_a_third_kind_keeps_of_a_failure_is_settled_with_it(
    connection: db.Connection,
    export: type[ExportHandler],
    work_off: Callable[[], int],
    error: DataFlowError,
    state: str,
    text: str,
    called: list[str],
) -> None:
    export.fails.append(error)
    job_id = queued(connection)
    assert work_off() == (state == "failed")
    row = row_of(connection, job_id)
    assert (row["state"], row["failures"], row["error"]) == (state, 1, text)
    assert row["file_name"] == ("kept" if state == "failed" else None)
    assert export.called == called


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DataFlowError("Refused."), "Refused."),
        (ZeroDivisionError(), "An unexpected error; see the worker's log."),
    ],
)
def test_what_cannot_be_kept_of_a_failure_is_done_without(
    connection: db.Connection, export: type[ExportHandler], work_off: Callable[[], int], error: Exception, reason: str
) -> None:
    export.fails.append(ObjectMissing("It is gone."))
    export.refuses.append(error)
    job_id = queued(connection)
    assert work_off() == 1
    assert row_of(connection, job_id)["error"] == f"object_missing: It is gone. Not kept: {reason}"
    assert export.called == ["on_failure", "on_failure", "close"]


def test_a_success_stays_one_whatever_comes_of_cleaning_up(
    connection: db.Connection,
    export: type[ExportHandler],
    work_off: Callable[[], int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    export.breaks.append(ZeroDivisionError())
    job_id = queued(connection)
    assert work_off() == 0
    assert row_of(connection, job_id)["state"] == "succeeded"
    assert export.called == ["after_commit: succeeded", "close"]
    (line,) = [record for record in caplog.records if record.message == "export broke after its commit"]
    assert line.exc_info


@pytest.mark.unit
def test_of_imports_the_queue_knows_nothing_and_the_worker_what_it_hands_over_to() -> None:
    package = Path(dataflow.__file__).parent
    knowing = {
        path.relative_to(package).as_posix()
        for room in ("queue", "worker")
        for path in (package / room).rglob("*.py")
        if "dataflow.imports" in path.read_text()
    }
    assert knowing == {"worker/handlers.py", "worker/orphaned_uploads.py"}


class Source:
    """Something that is read."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.unit
def test_what_an_attempt_reads_is_closed_when_it_is_stopped_before_and_meanwhile_but_not_after() -> None:
    attempt, another = (
        Attempt(Job(uuid7(), "export", 1, 0, 5, 0, "s", "k", 10, "csv", [], {}, *[None] * 4)) for _ in "12"
    )
    read = Source()
    with attempt.reading(read):
        pass
    reason = DataFlowError("stopped")
    attempt.stop(reason)
    assert not read.is_closed
    with pytest.raises(DataFlowError) as before, attempt.reading(Source()):
        pytest.fail("it has been stopped already")
    assert before.value is reason
    with another.reading(read):
        another.stop(reason)
    assert read.is_closed
