"""How much of the processors an export leaves to imports."""

from uuid import UUID, uuid4

import pytest

from dataflow import db
from dataflow.errors import DatabaseUnavailable
from dataflow.exports.throttle import (
    ASK_AGAIN_SECONDS,
    ASK_SECONDS,
    LONGEST_PAUSE_SECONDS,
    PAUSE_RATIO,
    Throttle,
    imports_beside,
    running_imports,
)
from dataflow.ids import uuid7
from dataflow.queue.attempt import Attempt
from dataflow.queue.jobs import Job


class Exporting:
    """An export that computes between two calls, on clocks of its own."""

    def __init__(self) -> None:
        self.answers: list[bool | Exception] = []
        self.pauses: list[float] = []
        self.now = self.used = 0.0
        self.throttle = Throttle(self._ask, self.pauses.append, lambda: self.now, lambda: self.used)

    def _ask(self) -> bool:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def step(self, seconds: float, used_seconds: float = 0.01) -> None:
        self.now += seconds
        self.used += used_seconds
        self.throttle.pause()


@pytest.mark.unit
def test_an_export_pauses_in_proportion_to_what_it_computes_while_imports_run() -> None:
    export = Exporting()
    export.answers = [False, True, False]
    for _ in range(3):
        export.step(ASK_SECONDS)
    assert export.pauses == [pytest.approx(PAUSE_RATIO * 0.01)]


@pytest.mark.unit
def test_no_pause_keeps_whoever_ends_an_export_waiting() -> None:
    export = Exporting()
    export.answers = [True]
    export.step(ASK_SECONDS, used_seconds=60.0)
    assert export.pauses == [LONGEST_PAUSE_SECONDS]


@pytest.mark.unit
def test_whether_imports_run_is_asked_no_more_often_than_necessary() -> None:
    export = Exporting()
    export.answers = [True, True]
    for _ in range(8):
        export.step(ASK_SECONDS / 5)
    assert (export.answers, len(export.pauses)) == ([], 8)


@pytest.mark.unit
def test_a_database_that_does_not_tell_breaks_no_export_off_and_is_left_alone_for_a_while() -> None:
    export = Exporting()
    export.answers = [True, DatabaseUnavailable("away"), False]
    export.step(ASK_SECONDS)
    export.step(ASK_SECONDS)
    export.step(ASK_AGAIN_SECONDS / 2)
    assert len(export.pauses) == 3
    export.step(ASK_AGAIN_SECONDS)
    assert (export.answers, len(export.pauses)) == ([], 3)


def add(connection: db.Connection, kind: str, state: str, of_job: UUID | None = None) -> None:
    connection.execute(
        "INSERT INTO jobs (id, kind, of_job, state, source, worker, heartbeat_at)"
        " VALUES (gen_random_uuid(), %s, %s, %s, 'crm', 'another', now())",
        [kind, of_job, state],
    )


def test_imports_of_any_worker_count_and_other_jobs_do_not(connection: db.Connection, database: str) -> None:
    pool = db.open_pool(database, "dataflow/test")
    try:
        ask = running_imports(pool)
        add(connection, "revert", "running", of_job=uuid4())
        add(connection, "import", "queued")
        assert not ask()
        add(connection, "import", "running")
        assert ask()
    finally:
        pool.close()


@pytest.mark.unit
def test_an_export_job_gives_way_to_imports_of_its_worker() -> None:
    running: list[Attempt] = []

    def start(kind: str) -> Attempt:
        job = Job(uuid7(), kind, 1, 0, 5, 0, "s", "k", 10, "csv", [], {}, *[None] * 4)
        running.append(Attempt(job, beside=lambda: running))
        return running[-1]

    ask = imports_beside(start("export"))
    start("revert")
    assert not ask()
    start("import")
    assert ask()
