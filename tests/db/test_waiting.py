"""Waiting for a server ends at its deadline, or when it is cut, whatever keeps the server silent; no thread does it."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import psycopg
import pytest

from dataflow import db
from dataflow.errors import DatabaseUnavailable
from dataflow.local.postgres import EmbeddedPostgres
from tests.drills.swallow import Swallower
from tests.support.waiting import eventually

SECONDS = 0.3
#: A deadline is looked at every 0.1 s; the rest is for a machine that is busy.
LATE_SECONDS = 1.5


@pytest.fixture(scope="module")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server on this machine, whose processes can be stopped."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("stopped"), {"fsync": "off"}) as postgres:
        yield postgres.url


@pytest.fixture
def session(local_server: str) -> Iterator[db.Connection]:
    with db.connect(local_server, "dataflow/test") as opened:
        yield opened


@contextmanager
def stopped_process(connection: db.Connection) -> Iterator[None]:
    """The server's process of a session neither reads nor answers."""
    pid = connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def ends_in_time() -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="cannot be reached, or the connection to it broke"), db.translated():
        yield
    assert SECONDS <= time.monotonic() - began < SECONDS + LATE_SECONDS


def is_of_no_more_use(connection: db.Connection) -> bool:
    with pytest.raises(psycopg.OperationalError, match="closed"):
        connection.execute("SELECT 1")
    return connection.broken and db.has_ended(connection)


def has_left(other: db.Connection, pid: int) -> bool:
    """Whether the server has ended its side of a session."""
    return other.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() is None


def test_a_statement_that_takes_too_long_ends_at_its_deadline(session: db.Connection) -> None:
    with ends_in_time(), db.deadline(session, SECONDS):
        session.execute("SELECT pg_sleep(60)")
    assert is_of_no_more_use(session)


def test_a_transaction_that_waits_for_a_lock_ends_at_its_deadline_and_the_server_ends_its_side(
    session: db.Connection, local_server: str
) -> None:
    pid = session.info.backend_pid
    with db.connect(local_server, "dataflow/test") as holder:
        holder.execute("SELECT pg_advisory_lock(1)")
        with ends_in_time(), db.deadline(session, SECONDS), session.transaction():
            session.execute("SELECT pg_advisory_lock(1)")
        assert is_of_no_more_use(session)
        eventually(lambda: has_left(holder, pid))


def test_a_server_that_is_stopped_is_given_up_at_the_deadline(session: db.Connection) -> None:
    with stopped_process(session), ends_in_time(), db.deadline(session, SECONDS), session.transaction():
        session.execute("SELECT 1")
    assert is_of_no_more_use(session)


def test_a_network_that_swallows_is_given_up_at_the_deadline(local_server: str) -> None:
    with Swallower(local_server) as network, db.connect(network.url, "dataflow/test") as session:
        network.cut()
        with ends_in_time(), db.limited(session, SECONDS / 2):
            session.execute("SELECT 1")
        assert is_of_no_more_use(session)


def copy_zeros(session: db.Connection) -> None:
    with session.cursor().copy("COPY zeros FROM STDIN") as copy:
        while True:
            copy.write(b"0\n" * 50_000)


@pytest.mark.parametrize("end", ["deadline", "cut"])
def test_a_copy_ends_whose_server_does_not_read(session: db.Connection, end: str) -> None:
    session.execute("CREATE TEMP TABLE zeros (zero INT)")
    cutting = threading.Timer(SECONDS, db.cut, [session])
    with stopped_process(session), ends_in_time():
        if end == "cut":
            cutting.start()
            copy_zeros(session)
        with db.deadline(session, SECONDS):
            copy_zeros(session)
    assert is_of_no_more_use(session)


def test_a_copy_ends_that_never_waits(session: db.Connection) -> None:
    session.execute("CREATE TEMP TABLE zeros (zero INT)")
    with ends_in_time(), db.deadline(session, SECONDS):
        copy_zeros(session)
    assert is_of_no_more_use(session)


def test_an_answer_ends_that_never_pauses(session: db.Connection) -> None:
    numbers = "COPY (SELECT generate_series(1, 1000000000)) TO STDOUT"
    with ends_in_time(), db.deadline(session, SECONDS), session.cursor().copy(numbers) as copy:
        for _ in copy:
            pass
    assert is_of_no_more_use(session)


def test_listening_ends_at_its_deadline_and_by_itself_before_it(session: db.Connection) -> None:
    session.execute("LISTEN news")
    with db.deadline(session, 60):
        assert list(session.notifies(timeout=0)) == []
    with ends_in_time(), db.deadline(session, SECONDS):
        list(session.notifies())
    assert is_of_no_more_use(session)


def test_the_nearest_deadline_counts_and_none_outlives_its_block(session: db.Connection) -> None:
    with db.deadline(session, 60):
        with db.deadline(session, SECONDS), db.deadline(session, 50):
            assert session.execute("SELECT 1").fetchone()
        session.execute("SELECT pg_sleep(%s)", [2 * SECONDS])
    with ends_in_time(), db.deadline(session, SECONDS), db.deadline(session, 50):
        session.execute("SELECT pg_sleep(60)")


def test_the_error_of_a_transaction_is_not_replaced_by_one_of_its_end(session: db.Connection) -> None:
    with pytest.raises(LookupError), session.transaction():
        db.cut(session)
        raise LookupError
    assert is_of_no_more_use(session)


def test_nor_is_it_by_that_of_a_rollback_which_gets_no_answer(session: db.Connection) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        with pytest.raises(LookupError), db.deadline(session, SECONDS), session.transaction():
            stack.enter_context(stopped_process(session))
            raise LookupError
        assert SECONDS <= time.monotonic() - began < SECONDS + LATE_SECONDS
        assert is_of_no_more_use(session)


def test_what_was_cut_before_it_was_committed_says_so(session: db.Connection, local_server: str) -> None:
    pid = session.info.backend_pid
    with pytest.raises(psycopg.OperationalError), session.transaction():
        session.execute("CREATE TABLE never (x INT)")
        db.cut(session)
    with db.connect(local_server, "dataflow/test") as other:
        eventually(lambda: has_left(other, pid))
        assert other.execute("SELECT FROM pg_class WHERE relname = 'never'").fetchone() is None


def test_a_request_whose_server_process_is_stopped_ends_and_the_next_has_another(
    local_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow.db.pool.REQUEST_SECONDS", SECONDS / 2)
    monkeypatch.setattr("dataflow.db.pool.SILENCE_SECONDS", SECONDS / 2)
    with closing(db.open_pool(local_server, "dataflow/web")) as pool, ExitStack() as stack:
        with pytest.raises(DatabaseUnavailable), db.borrowed(pool) as given_up:
            stack.enter_context(stopped_process(given_up))
            given_up.execute("SELECT 1")
        with db.borrowed(pool) as another:
            assert another.execute("SELECT 1").fetchone() and another is not given_up


def test_a_transaction_whose_process_is_silent_loses_its_locks_like_one_whose_server_is(
    session: db.Connection, local_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow.db.pool.REQUEST_SECONDS", SECONDS)
    monkeypatch.setattr("dataflow.db.pool.SILENCE_SECONDS", SECONDS)
    with ExitStack() as stack:
        other = stack.enter_context(db.connect(local_server, "dataflow/test"))
        pool = stack.enter_context(closing(db.open_pool(local_server, "dataflow/web")))
        with ends_in_time_of(other), db.limited(session, SECONDS):
            lock_and_fall_silent(session, other)
        with ends_in_time_of(other), db.borrowed(pool) as connection:
            lock_and_fall_silent(connection, other)


def lock_and_fall_silent(silent: db.Connection, other: db.Connection) -> None:
    """As a process does that is stopped between two statements, until somebody else has its lock."""
    silent.execute("SELECT pg_advisory_xact_lock(2)")
    other.execute("SELECT pg_advisory_xact_lock(2)")


@contextmanager
def ends_in_time_of(other: db.Connection) -> Iterator[None]:
    with pytest.raises(DatabaseUnavailable), db.deadline(other, 10), db.translated():
        yield
    assert not other.closed


def test_deadlines_need_no_thread(session: db.Connection) -> None:
    before = threading.enumerate()
    with db.limited(session, 5), db.deadline(session, 5):
        session.execute("SELECT 1")
        assert threading.enumerate() == before
