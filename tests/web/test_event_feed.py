"""What feeds the streams of a process: one connection and one statement a second, there only while somebody waits."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Never
from uuid import UUID

import pytest

from dataflow import db
from dataflow.errors import TooManyConnections
from dataflow.local.postgres import EmbeddedPostgres
from dataflow.web import event_feed, event_stream
from dataflow.web.client_line import ClientLine
from dataflow.web.event_feed import EventFeed
from dataflow.web.event_stream import EventStream
from dataflow.web.server_sent_events import COMMENT
from tests.support.databases import on_server, url_of
from tests.support.event_streams import EventClient
from tests.support.jobs import claimed, enqueue, set_state
from tests.support.logged import logged_by
from tests.support.poolers import TransactionPooler
from tests.support.processes import Web
from tests.support.waiting import eventually

ROLE = "dataflow/web/events"
CONNECTIONS = "SELECT pid, state FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
STREAMS, SECONDS = 20, 5


def connections(connection: db.Connection) -> list[dict[str, Any]]:
    return connection.execute(CONNECTIONS, [ROLE]).fetchall()


@pytest.fixture
def feed(database: str) -> Iterator[EventFeed]:
    made = EventFeed(partial(db.connect, database, ROLE), not_borrowed)
    yield made
    made.stop()
    eventually(has_no_thread)


def not_borrowed() -> Never:
    pytest.fail("the feed has a connection of its own")


def has_no_thread() -> bool:
    return all(thread.name != "events" for thread in threading.enumerate())


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server that writes down each statement and whose it is."""
    settings = {"fsync": "off", "log_statement": "all", "log_line_prefix": "%m [%p] %a: "}
    with EmbeddedPostgres(tmp_path / "server", settings) as started:
        on_server(started.url, "CREATE DATABASE {name}", "own")
        db.migrate(url_of(started.url, "own"))
        yield started


def statements(folder: Path) -> list[str]:
    """Those on the connection of the feed."""
    log = (folder / "run" / "postgres.log").read_text()
    return re.findall(rf"\] {ROLE}: LOG:  (?:statement|execute \S+): (.*)", log)


def test_all_streams_share_a_statement_a_second_and_outlive_a_restart_of_the_server(
    own_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    url = url_of(own_server.url, "own")
    folder = next(tmp_path.rglob("postgres.log")).parent.parent
    web = Web.start({"DATABASE_URL": url, "DATA_DIR": tmp_path / "state"})
    with ExitStack() as stack:
        stack.callback(web.stop)
        with db.connect(url, "t") as connection:
            job_ids = [enqueue(connection) for _ in range(STREAMS)]
            clients = [stack.enter_context(EventClient(web, job_id)) for job_id in job_ids]
            for client in clients:
                assert client.next().name == "progress"
            # Its connection begins with some of its own.
            eventually(lambda: statements(folder).count(statements(folder)[-1]) >= 2)
            before, began = len(statements(folder)), time.monotonic()
            time.sleep(SECONDS)
            count, seconds = len(statements(folder)) - before, time.monotonic() - began
            assert 1 <= count <= seconds / event_feed.READ_SECONDS + 1
            assert len(connections(connection)) == 1
            set_state(connection, job_ids[0], "cancelled")
            assert [event.name for event in clients[0]] == ["done"]
        own_server.stop()
        own_server.start()
        with db.connect(url, "t") as connection:
            for job_id in job_ids[1:]:
                set_state(connection, job_id, "cancelled")
        for client in clients[1:]:
            assert [event.job["state"] for event in client] == ["cancelled"]


def test_the_end_of_a_job_is_told_without_waiting_for_the_next_look(
    feed: EventFeed, connection: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "READ_SECONDS", 3600.0)
    job_id, other_id = enqueue(connection), enqueue(connection)
    with feed.watch(job_id) as watch:
        assert watch.next(60) is not None
        eventually(lambda: any(row["state"] == "idle" for row in connections(connection)))
        # Of others it is not asked for.
        set_state(connection, other_id, "cancelled")
        set_state(connection, job_id, "cancelled")
        told = watch.next(60)
    feed.stop()
    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [ROLE])
    assert told is not None
    assert told["state"] == "cancelled"


def test_no_worker_is_woken_by_an_end(connection: db.Connection, database: str) -> None:
    job_id = claimed(connection).id
    with db.connect(database, "t") as listener:
        listener.execute("LISTEN dataflow_jobs")
        listener.execute("LISTEN dataflow_ended")
        set_state(connection, job_id, "failed")
        heard = [(notice.channel, notice.payload) for notice in listener.notifies(timeout=60, stop_after=1)]
        heard += [(notice.channel, notice.payload) for notice in listener.notifies(timeout=0)]
    assert heard == [("dataflow_ended", str(job_id))]


def test_the_connection_is_closed_after_the_last_has_left_and_opened_for_the_next(
    feed: EventFeed, connection: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "LINGER_SECONDS", 0.2)
    job_id = enqueue(connection)
    for _ in range(2):
        assert not connections(connection)
        with feed.watch(job_id) as watch:
            assert watch.next(60) is not None
            assert len(connections(connection)) == 1
        eventually(lambda: not connections(connection))
        eventually(has_no_thread)


def test_behind_a_pooler_the_table_is_looked_at_and_nobody_listens(database: str, connection: db.Connection) -> None:
    job_id = enqueue(connection)
    with TransactionPooler(database, 1) as pooler:
        feed = EventFeed(partial(db.connect, pooler.url, ROLE), not_borrowed)
        with feed.watch(job_id) as watch:
            assert watch.next(60) is not None
            with db.connect(pooler.url, "t") as other:
                assert other.execute("SELECT pg_listening_channels()").fetchall() == []
            set_state(connection, job_id, "cancelled")
            told = eventually(lambda: (found := watch.next(60)) and found["finished_at"] and found)
        feed.stop()
        eventually(has_no_thread)
    assert told["state"] == "cancelled"


def test_a_connection_that_breaks_is_made_again(feed: EventFeed, connection: db.Connection) -> None:
    job_id = enqueue(connection)
    with feed.watch(job_id) as watch:
        assert watch.next(60) is not None
        [found] = connections(connection)
        connection.execute("SELECT pg_terminate_backend(%s)", [found["pid"]])
        eventually(lambda: [row["pid"] for row in connections(connection)] not in ([], [found["pid"]]))
        set_state(connection, job_id, "cancelled")
        eventually(lambda: (told := watch.next(60)) is not None and told["state"] == "cancelled")


def test_where_the_server_is_full_the_connections_of_requests_are_asked_through(
    database: str, connection: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "FULL_PAUSE_SECONDS", 1.0)
    is_full = [True]

    def connect() -> db.Connection:
        if is_full[0]:
            raise TooManyConnections("The database has too many connections.")
        return db.connect(database, ROLE)

    pool, job_id = db.open_pool(database, "dataflow/web"), enqueue(connection)
    feed = EventFeed(connect, partial(db.borrowed_once, pool))
    with feed.watch(job_id) as watch:
        for number in range(3):
            connection.execute("UPDATE jobs SET bytes_done = %s WHERE id = %s", [number, job_id])
            eventually(lambda: (told := watch.next(60)) is not None and told["bytes_done"] == number)  # noqa: B023
        is_full.clear()
        is_full.append(False)
        eventually(lambda: len(connections(connection)) == 1)
        set_state(connection, job_id, "cancelled")
        eventually(lambda: (told := watch.next(60)) is not None and told["state"] == "cancelled")
    feed.stop()
    pool.close()
    eventually(has_no_thread)


def test_who_waits_when_the_process_ends_or_later_is_told_so(feed: EventFeed, connection: db.Connection) -> None:
    hung_up: list[str] = []
    job_id = enqueue(connection)

    def hang_up() -> None:
        hung_up.append("one that is sent something")

    with feed.watch(job_id, hang_up) as one, feed.watch(job_id, hang_up) as other:
        with other.sending():
            pass
        with one.sending():
            feed.stop()
        assert (one.is_over, other.is_over, len(hung_up)) == (True, True, 1)
        assert other.next(60) is None
    with feed.watch(job_id, hang_up) as late:
        assert (late.is_over, late.next(60)) == (True, None)
        with late.sending():
            assert len(hung_up) == 2


def test_while_nothing_happens_comments_are_sent(
    feed: EventFeed, connection: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "COMMENT_SECONDS", 0.05)
    monkeypatch.setattr(event_stream, "LOOK_UP_SECONDS", 0.1)
    job_id = enqueue(connection)
    first = _row(connection, job_id)
    pieces = EventStream(feed, ClientLine(None), job_id).pieces(first, None, _as_text)
    assert next(pieces) == b"retry: 1000\n\n"
    assert b"event: progress\n" in next(pieces)
    assert [next(pieces) for _ in range(3)] == [COMMENT] * 3
    set_state(connection, job_id, "cancelled")
    rest = [piece for piece in pieces if piece != COMMENT]
    assert len(rest) == 1
    assert b"event: done\n" in rest[0]


def test_a_fault_of_the_feed_is_logged_and_it_goes_on(
    feed: EventFeed, connection: db.Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read: Callable[..., Any] = event_feed.jobs.get_all
    faults = iter([ZeroDivisionError()])

    def get_all(*arguments: Any) -> Any:
        for fault in faults:
            raise fault
        return read(*arguments)

    monkeypatch.setattr(event_feed.jobs, "get_all", get_all)
    with feed.watch(enqueue(connection)) as watch:
        assert watch.next(60) is not None
    assert [record.message for record in logged_by(caplog, "web.event_feed")] == ["event feed broke"]


def _row(connection: db.Connection, job_id: UUID) -> dict[str, Any]:
    return event_feed.jobs.get_all(connection, [job_id])[job_id]


def _as_text(shown: dict[str, Any]) -> dict[str, Any]:
    return {"state": shown["state"]}
