"""The view for eyes between two beats: it goes on at the rate so far, and says who holds what an import waits for."""

import time
from typing import Any

import psycopg
import pytest

from dataflow import db
from dataflow.queue.jobs import Job
from tests.support.jobs import claimed
from tests.support.waiting import eventually

BEATEN = """
UPDATE jobs
SET started_at = clock_timestamp() - make_interval(secs => %(started)s), bytes_done = %(bytes)s, bytes_total = 1000,
    heartbeat_at = clock_timestamp() - make_interval(secs => %(beaten)s), rows_read = 10 * %(bytes)s
WHERE id = %(id)s
"""


def status(connection: db.Connection, job: Job) -> dict[str, Any]:
    row = connection.execute("SELECT * FROM job_status WHERE id = %s", [job.id]).fetchone()
    assert row is not None
    return row


def beaten(connection: db.Connection, started: float, beaten: float, bytes_done: int) -> Job:
    """A running job that has beaten once, with so many of 1000 bytes; both times in seconds from now."""
    job = claimed(connection)
    values = {"id": job.id, "started": started, "beaten": beaten, "bytes": bytes_done}
    connection.execute(BEATEN, values)
    return job


def status_at_once(connection: db.Connection, started: float, beaten_ago: float, bytes_done: int) -> dict[str, Any]:
    """The status of such a job before a third of a second has passed, however busy the machine is."""

    def ask() -> dict[str, Any] | None:
        began = time.monotonic()
        found = status(connection, beaten(connection, started, beaten_ago, bytes_done))
        return found if time.monotonic() - began < 0.3 else None

    return eventually(ask)


@pytest.mark.parametrize(
    ("started", "beaten_ago", "bytes_done", "percent", "eta_seconds"),
    [
        pytest.param(104, 4, 500, 52, 96, id="on at the rate so far"),
        pytest.param(108, 8, 500, 54, 92, id="on and on"),
        pytest.param(13, 9, 80, 26, 37, id="far, when it has only begun"),
        pytest.param(10, 4.5, 600, 80, 2.5, id="by half of what is left at most"),
        pytest.param(114, 14, 500, 55, 93, id="for ten seconds at most"),
        pytest.param(104, 4, 998, 99.9, 0, id="never to the end"),
        pytest.param(104, 4, 1000, 99.9, 0, id="not to the end before it has ended"),
        pytest.param(5, 4.5, 200, 20, 20, id="a rate of half a second is none"),
        pytest.param(104, 4, 0, 0, None, id="nothing done yet"),
    ],
)
def test_percent_and_time_left_go_on_between_beats(
    connection: db.Connection,
    started: float,
    beaten_ago: float,
    bytes_done: int,
    percent: float,
    eta_seconds: float | None,
) -> None:
    found = status_at_once(connection, started, beaten_ago, bytes_done)
    # The test itself takes a moment.
    assert percent <= float(found["percent"]) <= percent + 1
    assert (found["eta"] is None) == (eta_seconds is None)
    if eta_seconds is not None:
        assert found["eta"].total_seconds() == pytest.approx(eta_seconds, abs=3)


def test_the_rate_does_not_fall_between_beats(connection: db.Connection) -> None:
    assert status(connection, beaten(connection, 110, 10, 500))["rows/s"] == 50


def test_an_import_of_unknown_size_has_no_percent(connection: db.Connection) -> None:
    job = beaten(connection, 104, 4, 500)
    connection.execute("UPDATE jobs SET bytes_total = NULL WHERE id = %s", [job.id])
    found = status(connection, job)
    assert (found["percent"], found["eta"], found["health"]) == (None, None, "ok")


def test_an_import_that_waits_for_a_lock_says_so_and_who_holds_it_and_stands_still(
    connection: db.Connection, database: str
) -> None:
    with db.connect(database, "dataflow/w/work") as work, psycopg.connect(database, application_name="psql") as holder:
        holder.execute("LOCK TABLE contacts")
        job = beaten(work, 104, 4, 500)
        assert status(connection, job)["health"] == "ok"
        work.pgconn.send_query(b"SELECT count(*) FROM contacts")
        work.pgconn.flush()
        expected = f"waiting for a lock held by session {holder.info.backend_pid} (psql)"
        eventually(lambda: status(connection, job)["health"] == expected)
        assert status(connection, job)["percent"] == 50
        connection.execute("UPDATE jobs SET backend_pid = NULL, backend_start = NULL")
        assert status(connection, job)["health"] == "ok", "behind a pooler nothing is said of locks"
        work.cancel_safe()
        while work.pgconn.get_result() is not None:
            pass
