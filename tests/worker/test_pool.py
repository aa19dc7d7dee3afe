"""Which imports count as running in a worker, and whether another may begin."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from dataflow import db
from dataflow.config import Config
from dataflow.db.deadlines import Deadlines
from dataflow.imports.attempt import Attempt
from dataflow.queue import jobs
from dataflow.storage.base import Storage
from dataflow.worker.pool import Crew
from dataflow.worker.runner import Slot
from dataflow.worker.work_connections import WorkConnections
from tests.support.jobs import claimed, enqueue, row
from tests.support.processes import eventually


@pytest.fixture
def connections(database: str) -> WorkConnections:
    return WorkConnections(2, lambda: db.connect(database, "dataflow/test/work"))


@pytest.fixture
def crew(config: Config, storage: Storage, connections: WorkConnections) -> Crew:
    return Crew(connections, Slot(config, storage, "dataflow/test/settle"), lambda: None)


def dead_thread() -> threading.Thread:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    return thread


@pytest.fixture
def at_work() -> Callable[[], threading.Thread]:
    """A thread that lives as long as the test."""
    return threading.current_thread


def test_a_job_whose_thread_has_died_is_not_kept_alive(
    crew: Crew, connection: db.Connection, at_work: Callable[[], threading.Thread]
) -> None:
    alive, dead = Attempt(claimed(connection)), Attempt(claimed(connection))
    crew._attempts.update({at_work(): alive, dead_thread(): dead})
    assert crew.running() == [alive]


def test_there_is_room_for_as_many_imports_as_the_crew_is_large(
    crew: Crew, connection: db.Connection, at_work: Callable[[], threading.Thread]
) -> None:
    crew._attempts[at_work()] = Attempt(claimed(connection))
    assert crew.has_room()
    crew._attempts[dead_thread()] = Attempt(claimed(connection))
    assert not crew.has_room()


@pytest.mark.parametrize(("losses", "has_room"), [(1, True), (2, False)])
def test_beside_a_job_that_has_lost_two_workers_there_is_no_room(
    losses: int, has_room: bool, crew: Crew, connection: db.Connection, at_work: Callable[[], threading.Thread]
) -> None:
    crew._attempts[at_work()] = Attempt(replace(claimed(connection), losses=losses))
    assert crew.has_room() is has_room


def test_a_job_for_which_no_thread_can_be_started_is_given_up_with_its_session(
    crew: Crew, connection: db.Connection, connections: WorkConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.give_back(connections._connect())

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    job_id = enqueue(connection)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            crew.take(lambda session: jobs.claim(session, "w"))
    assert len(crew) == 0
    pid = row(connection, job_id)["backend_pid"]
    eventually(lambda: not connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone())


def test_a_session_that_cannot_be_set_up_is_closed(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    # Its limits need a thread, and the one of this process may be there already.
    monkeypatch.setattr("dataflow.db.connection._DEADLINES", Deadlines())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError):
        db.connect(database, "dataflow/test/work")
