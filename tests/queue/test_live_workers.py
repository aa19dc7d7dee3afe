"""Which workers are counted as alive: those that listen, and behind a pooler those that have beaten lately."""

import pytest

from dataflow import db
from dataflow.queue import live_workers
from dataflow.worker.heartbeat import Heartbeat
from tests.support.waiting import eventually


def set_back(connection: db.Connection, seconds: float) -> None:
    connection.execute("UPDATE worker_beats SET seen_at = seen_at - make_interval(secs => %s)", [seconds])


def seen_at(connection: db.Connection, worker: str) -> object:
    row = connection.execute("SELECT seen_at FROM worker_beats WHERE worker = %s", [worker]).fetchone()
    return row and row["seen_at"]


def test_a_worker_counts_from_its_beat_until_it_leaves(connection: db.Connection) -> None:
    for _ in range(2):
        live_workers.beat(connection, "one")
    live_workers.beat(connection, "other")
    assert live_workers.count(connection) == 2
    live_workers.leave(connection, "one")
    assert live_workers.count(connection) == 1


@pytest.mark.parametrize(("seconds", "count"), [(14, 1), (16, 0)])
def test_three_beats_may_be_missed_and_the_next_one_counts_again(
    connection: db.Connection, seconds: float, count: int
) -> None:
    live_workers.beat(connection, "w")
    set_back(connection, seconds)
    assert live_workers.count(connection) == count
    live_workers.beat(connection, "w")
    assert live_workers.count(connection) == 1


def test_only_a_session_that_has_proved_to_hear_counts(connection: db.Connection, database: str) -> None:
    """What a pooler keeps of a worker that is gone has the name that it was opened under."""
    with db.connect(database, "dataflow/w/poll") as session:
        assert live_workers.count(connection) == 0
        session.rename("dataflow/w/listen")
        assert live_workers.count(connection) == 1


def test_rows_of_workers_that_were_killed_are_kept_for_an_hour(connection: db.Connection) -> None:
    live_workers.beat(connection, "old")
    set_back(connection, 3601)
    live_workers.beat(connection, "silent")
    live_workers.forget_silent(connection)
    assert (seen_at(connection, "old"), seen_at(connection, "silent") is None) == (None, False)


def test_an_idle_worker_behind_a_pooler_beats_and_again_where_its_row_was_lost(
    connection: db.Connection, database: str
) -> None:
    heartbeat = Heartbeat(database, "dataflow/w/beat", lambda: [], interval_seconds=0.02)
    heartbeat.pooled_worker = "w"
    heartbeat.start()
    try:
        first = eventually(lambda: seen_at(connection, "w"))
        eventually(lambda: seen_at(connection, "w") != first)
        live_workers.leave(connection, "w")
        eventually(lambda: seen_at(connection, "w"))
    finally:
        heartbeat.stop()
