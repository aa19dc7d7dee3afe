"""Which imports count as running in a worker, and whether another may begin."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from dataflow import db
from dataflow.config import Config
from dataflow.queue import jobs
from dataflow.queue.attempt import Attempt
from dataflow.storage.base import Storage
from dataflow.worker.pool import AttemptPool, WorkConnections
from dataflow.worker.runner import Runner
from tests.support.jobs import claimed, enqueue, row
from tests.support.waiting import eventually


@pytest.fixture
def connections(database: str) -> WorkConnections:
    return WorkConnections(2, lambda: db.connect(database, "dataflow/test/work"))


@pytest.fixture
def pool(config: Config, storage: Storage, connections: WorkConnections) -> AttemptPool:
    return AttemptPool(connections, Runner(config, storage, "dataflow/test/settle"), lambda: None)


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
    pool: AttemptPool, connection: db.Connection, at_work: Callable[[], threading.Thread]
) -> None:
    alive, dead = Attempt(claimed(connection)), Attempt(claimed(connection))
    pool._attempts.update({at_work(): alive, dead_thread(): dead})
    assert pool.running() == [alive]


def test_there_is_room_for_as_many_imports_as_the_pool_is_large(
    pool: AttemptPool, connection: db.Connection, at_work: Callable[[], threading.Thread]
) -> None:
    pool._attempts[at_work()] = Attempt(claimed(connection))
    assert pool.has_room()
    pool._attempts[dead_thread()] = Attempt(claimed(connection))
    assert not pool.has_room()


@pytest.mark.parametrize(("losses", "has_room"), [(1, True), (2, False)])
def test_beside_a_job_that_has_lost_two_workers_there_is_no_room(
    losses: int, has_room: bool, pool: AttemptPool, connection: db.Connection, at_work: Callable[[], threading.Thread]
) -> None:
    pool._attempts[at_work()] = Attempt(replace(claimed(connection), losses=losses))
    assert pool.has_room() is has_room


def test_a_job_for_which_no_thread_can_be_started_is_given_up_with_its_session(
    pool: AttemptPool, connection: db.Connection, connections: WorkConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.give_back(connections._connect())

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    job_id = enqueue(connection)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            pool.take(lambda session: jobs.claim(session, "w"))
    assert len(pool) == 0
    pid = row(connection, job_id)["backend_pid"]
    eventually(lambda: connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() is None)


def test_a_session_that_cannot_be_set_up_is_closed(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: db.Connection) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(db.Connection, "configure", refuse)
    with pytest.raises(RuntimeError):
        db.connect(database, "dataflow/test/work")
