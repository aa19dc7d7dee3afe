"""Signs of life: written whatever else is locked, cancelled, terminated or swallowed, and never written for nobody."""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dataflow import db
from dataflow.errors import LeaseLost, StatementCancelled
from dataflow.queue import jobs
from dataflow.queue.attempt import Attempt
from dataflow.queue.progress import Progress
from dataflow.worker.heartbeat import Heartbeat
from tests.support.acceptor import Acceptor
from tests.support.jobs import claimed, row, set_state
from tests.support.waiting import eventually

_numbers = itertools.count(1)
INTERVAL_SECONDS = 0.05
FIND = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"


class Swallower:
    """Between us and Postgres. While it `swallows`, it takes every statement, acknowledges its bytes, and that is all.

    Sessions can still be opened: so does a pooler that has no server process to give.
    """

    def __init__(self, url: str) -> None:
        self._target = conninfo_to_dict(url)
        self.swallows = threading.Event()
        self.has_swallowed = threading.Event()
        self._acceptor = Acceptor(self._serve)
        self.url = make_conninfo(url, host="127.0.0.1", port=self._acceptor.port, sslmode="disable")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._acceptor.close()

    def _connect(self) -> socket.socket:
        host, port = str(self._target.get("host") or "localhost"), self._target.get("port") or 5432
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _serve(self, client: socket.socket) -> None:
        server = self._connect()
        threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()
        self._pump(client, server, is_client=True)

    def _pump(self, source: socket.socket, sink: socket.socket, is_client: bool) -> None:
        """Statements begin with Q or P; what opens a session with a length, a password or nothing of the kind."""
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                if is_client and self.swallows.is_set() and content[:1] in (b"Q", b"P"):
                    self.has_swallowed.set()
                else:
                    sink.sendall(content)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture(scope="module")
def database(module_database: str) -> str:
    """One for all tests here, which is emptied and not put back."""
    return module_database


@pytest.fixture(autouse=True)
def fresh_start(connection: db.Connection) -> None:
    """Empty tables; and a statement that waits for a test's own transaction fails it instead of hanging."""
    connection.execute("SET lock_timeout = '10s'; DELETE FROM jobs; DELETE FROM contacts")


@pytest.fixture
def role() -> str:
    """Of one test's sessions: those of the test before may take a moment to end."""
    return f"dataflow/test-{next(_numbers)}/beat"


@pytest.fixture
def beat(database: str, role: str) -> Iterator[Callable[..., Heartbeat]]:
    """Starts heartbeats for attempts."""
    started: list[Heartbeat] = []

    def start(
        attempts: Iterable[Attempt] | Callable[[], Iterable[Attempt]],
        url: str = database,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> Heartbeat:
        fetch = attempts if callable(attempts) else lambda: attempts
        started.append(Heartbeat(url, role, fetch, interval_seconds))
        started[-1].start()
        return started[-1]

    yield start
    for heartbeat in started:
        heartbeat.stop()


def has_beaten(attempt: Attempt, times: int = 2) -> None:
    """Wait until as many more beats are confirmed as the first of them needs to have begun after this call."""
    for _ in range(times):
        before = attempt.confirmed
        eventually(lambda before=before: attempt.confirmed > before)  # type: ignore[misc]


@pytest.fixture
def blocked(database: str) -> Iterator[Callable[[], tuple[db.Connection, "Outcome"]]]:
    """Sessions whose thread waits in a statement that takes a minute."""
    opened: list[Outcome] = []

    def start() -> tuple[db.Connection, Outcome]:
        connection = db.connect(database, "dataflow/test/work")
        opened.append(Outcome(connection))
        return connection, opened[-1]

    yield start
    for outcome in opened:
        db.cut(outcome.connection)
        outcome.thread.join(5)
        outcome.connection.close()


class Outcome:
    """What the thread that waits in a connection got in the end, and when."""

    def __init__(self, connection: db.Connection) -> None:
        self.connection = connection
        self.error: psycopg.Error | None = None
        self.thread = threading.Thread(target=self._wait, daemon=True)

    def _wait(self) -> None:
        try:
            self.connection.execute("SELECT pg_sleep(60)")
        except psycopg.Error as error:
            self.error = error


def test_beats_write_the_time_and_the_progress_again_and_again(
    connection: db.Connection, beat: Callable[..., Heartbeat]
) -> None:
    attempt = Attempt(claimed(connection))
    attempt.progress.rows_imported, attempt.progress.bytes_done = 7, 99
    beat([attempt])
    has_beaten(attempt)
    first = row(connection, attempt.job.id)
    assert (first["rows_imported"], first["bytes_done"]) == (7, 99)
    attempt.progress.rows_imported = 8
    has_beaten(attempt)
    second = row(connection, attempt.job.id)
    assert second["rows_imported"] == 8
    assert second["heartbeat_at"] > first["heartbeat_at"]


def test_beats_need_no_connection_before_there_is_something_to_beat_for(
    connection: db.Connection, beat: Callable[..., Heartbeat], role: str
) -> None:
    attempts: list[Attempt] = []
    rounds: list[None] = []

    def fetch() -> list[Attempt]:
        rounds.append(None)
        return attempts

    beat(fetch)
    eventually(lambda: len(rounds) > 2)
    assert connection.execute(FIND, [role]).fetchone() is None
    attempts.append(Attempt(claimed(connection)))
    has_beaten(attempts[0])
    assert connection.execute(FIND, [role]).fetchone() is not None


def test_a_row_in_its_final_commit_delays_no_other_beat_and_is_not_lost(
    database: str, connection: db.Connection, beat: Callable[..., Heartbeat]
) -> None:
    locked, free = Attempt(claimed(connection)), Attempt(claimed(connection))
    with db.connect(database, "committing") as other, other.transaction():
        jobs.succeed(other, locked.job, Progress())
        began = time.monotonic()
        jobs.beat(connection, locked.job, Progress(), 5.0)
        assert time.monotonic() - began < 4, "it does not wait out its 5 s"
        beat([locked, free])
        has_beaten(free)
        has_beaten(locked)
        assert locked.stopped is None
    assert row(connection, free.job.id)["heartbeat_at"] is not None


def test_a_beat_that_waited_for_a_locked_table_is_confirmed_because_nobody_can_have_taken_the_job(
    database: str, connection: db.Connection, beat: Callable[..., Heartbeat]
) -> None:
    attempt = Attempt(claimed(connection))
    beat([attempt])
    has_beaten(attempt)
    with db.connect(database, "psql") as psql, psql.transaction():
        psql.execute("LOCK TABLE jobs IN SHARE MODE")  # what CREATE INDEX takes
        locked_at = time.monotonic()
        eventually(lambda: attempt.confirmed > locked_at, seconds=2)
    assert attempt.stopped is None


@pytest.mark.parametrize("taken", ["cancelled", "newer attempt"])
def test_an_attempt_whose_job_is_no_longer_its_own_is_cut_out_of_whatever_it_waits_for(
    connection: db.Connection,
    beat: Callable[..., Heartbeat],
    blocked: Callable[[], tuple[db.Connection, Outcome]],
    taken: str,
) -> None:
    work, outcome = blocked()
    attempt, other = Attempt(claimed(work), work), Attempt(claimed(connection))
    outcome.thread.start()
    beat([attempt, other])
    has_beaten(attempt)
    if taken == "cancelled":
        set_state(connection, attempt.job.id, "cancelled")
    else:
        connection.execute("UPDATE jobs SET attempt = attempt + 1 WHERE id = %s", [attempt.job.id])
    outcome.thread.join(5)
    assert not outcome.thread.is_alive()
    assert isinstance(outcome.error, psycopg.OperationalError)
    assert isinstance(attempt.stopped, LeaseLost) and attempt.is_cut
    has_beaten(other)
    assert other.stopped is None


def test_an_attempt_that_is_writing_its_outcome_is_left_to_the_fence(
    connection: db.Connection, beat: Callable[..., Heartbeat]
) -> None:
    settling = Attempt(claimed(connection), connection, is_settling=True)
    other = Attempt(claimed(connection))
    jobs.succeed(connection, settling.job, Progress())
    beat([settling, other])
    has_beaten(other, 3)
    assert (settling.stopped, settling.is_cut) == (None, False)
    assert connection.execute("SELECT 1").fetchone()


def test_beats_go_on_after_their_session_was_terminated(
    connection: db.Connection, beat: Callable[..., Heartbeat], role: str
) -> None:
    attempt = Attempt(claimed(connection))
    beat([attempt])
    has_beaten(attempt)
    before = connection.execute(FIND, [role]).fetchone()
    connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({FIND}) beat".encode(), [role])
    has_beaten(attempt, 3)
    assert connection.execute(FIND, [role]).fetchone() != before
    assert attempt.stopped is None


def test_an_error_that_is_about_one_row_neither_ends_the_session_nor_the_other_beats(
    connection: db.Connection, beat: Callable[..., Heartbeat], role: str, caplog: pytest.LogCaptureFixture
) -> None:
    refused, other = Attempt(claimed(connection)), Attempt(claimed(connection))
    refused.progress.bytes_done = 1 << 70  # more than the column takes
    confirmed = refused.confirmed
    beat([refused, other], interval_seconds=0.12)
    has_beaten(other)
    before = connection.execute(FIND, [role]).fetchall()
    has_beaten(other)
    assert connection.execute(FIND, [role]).fetchall() == before
    assert "heartbeat of a job missed" in caplog.messages
    assert (refused.confirmed, refused.stopped) == (confirmed, None)
    refused.progress.bytes_done = 1
    has_beaten(refused)


def test_beats_go_on_after_something_that_nobody_has_foreseen(
    connection: db.Connection, beat: Callable[..., Heartbeat], caplog: pytest.LogCaptureFixture
) -> None:
    attempt = Attempt(claimed(connection))
    surprises = [ZeroDivisionError()]

    def fetch() -> list[Attempt]:
        if surprises:
            raise surprises.pop()
        return [attempt]

    beat(fetch)
    has_beaten(attempt)
    assert "heartbeat broke" in caplog.messages


def test_a_beat_that_gets_no_answer_is_cut_and_the_next_session_beats(
    database: str, connection: db.Connection, beat: Callable[..., Heartbeat]
) -> None:
    attempt = Attempt(claimed(connection))
    with Swallower(database) as network:
        beat([attempt], network.url)
        has_beaten(attempt)
        network.swallows.set()
        assert network.has_swallowed.wait(5)
        network.swallows.clear()
        before = attempt.confirmed
        eventually(lambda: attempt.confirmed > before, seconds=5)
        assert attempt.stopped is None


def test_a_new_session_that_gets_no_answer_is_cut_as_well(
    database: str, connection: db.Connection, beat: Callable[..., Heartbeat], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow.db.connection.CONNECT_TIMEOUT_SECONDS", 1)
    attempt = Attempt(claimed(connection))
    with Swallower(database) as network:
        network.swallows.set()
        beat([attempt], network.url)
        assert network.has_swallowed.wait(5)
        network.swallows.clear()
        before = attempt.confirmed
        eventually(lambda: attempt.confirmed > before, seconds=5)


def test_a_beat_that_is_answered_in_time_is_never_cut(
    connection: db.Connection, beat: Callable[..., Heartbeat], role: str
) -> None:
    attempt = Attempt(claimed(connection))
    beat([attempt], interval_seconds=0.12)
    has_beaten(attempt)
    before = connection.execute(FIND, [role]).fetchone()
    has_beaten(attempt, 3)
    assert connection.execute(FIND, [role]).fetchone() == before


@pytest.mark.parametrize("outcome", ["written", "locked", "lost"])
def test_the_limits_of_a_beat_do_not_outlive_it(database: str, connection: db.Connection, outcome: str) -> None:
    job = claimed(connection)

    def limits() -> list[Any]:
        names = ("statement_timeout", "lock_timeout")
        return [connection.execute(f"SHOW {name}".encode()).fetchone() for name in names]

    before = limits()
    with db.connect(database, "other") as other, other.transaction(), contextlib.suppress(LeaseLost):
        if outcome == "locked":
            other.execute("SELECT FROM jobs FOR UPDATE")
        elif outcome == "lost":
            set_state(connection, job.id, "cancelled")
        jobs.beat(connection, job, Progress(), 0.5)
    assert limits() == before
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


#: Half a minute for each change of a job.
DAWDLE = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN new; END';
CREATE TRIGGER dawdle BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION dawdle()
"""


@pytest.mark.parametrize(
    ("statement", "moves", "waits_for"),
    [
        ("SELECT pg_sleep(60)", True, None),
        ("SELECT pg_advisory_xact_lock(hashtext('dataflow_merge'))", True, "its turn to merge (1 before it)"),
        ("SELECT pg_advisory_xact_lock(7)", True, "an advisory lock that session {pid} (holding) holds"),
        ("DELETE FROM contacts", False, "a lock on contacts that session {pid} (holding) holds"),
        ("UPDATE jobs SET error = 'x'", False, "a row that session {pid} (holding) holds"),
        ("SELECT 1", False, "rows of its file"),
    ],
    ids=["works", "waits for its turn", "waits for a trigger's lock", "for a table", "for a row", "waits for us"],
)
@pytest.mark.parametrize("is_merging", [True, False])
def test_a_merge_moves_while_it_works_or_waits_for_its_turn_and_whoever_stands_still_says_what_it_waits_for(
    is_merging: bool,
    statement: str,
    moves: bool,
    waits_for: str | None,
    database: str,
    connection: db.Connection,
    beat: Callable[..., Heartbeat],
) -> None:
    look = "SELECT FROM pg_stat_activity WHERE pid = %s AND state = %s AND query = %s"
    job, other = claimed(connection), claimed(connection)
    with db.connect(database, "holding") as holder, db.connect(database, "merging") as merging, holder.transaction():
        holder.execute("SELECT pg_advisory_xact_lock(7), pg_advisory_xact_lock(hashtext('dataflow_merge'))")
        holder.execute("LOCK TABLE contacts")
        holder.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", [other.id])
        thread = threading.Thread(target=suppressed, args=(merging, statement), daemon=True)
        thread.start()
        state = "idle" if statement == "SELECT 1" else "active"
        pid = merging.info.backend_pid
        eventually(lambda: connection.execute(look, [pid, state, statement]).fetchall())
        attempt = Attempt(replace(job, backend_pid=None if is_merging else pid))
        attempt.statement_pid = pid if is_merging else None
        beat([attempt])
        expected = waits_for and waits_for.format(pid=holder.info.backend_pid)
        eventually(
            lambda: attempt.waits_for == expected and (not is_merging or not moves or attempt.statement_looks > 1)
        )
        has_beaten(attempt, 3)
        assert attempt.waits_for == expected
        db.cut(merging)
        thread.join(5)
    assert (attempt.statement_looks > 0) is (moves and is_merging)
    eventually(lambda: attempt.waits_for is None)


def suppressed(waiting: db.Connection, statement: str) -> None:
    with contextlib.suppress(psycopg.Error):
        waiting.execute(statement.encode())


def test_a_beat_takes_no_longer_than_it_may(connection: db.Connection) -> None:
    job = claimed(connection)
    connection.execute(DAWDLE.encode())
    try:
        began = time.monotonic()
        with pytest.raises(StatementCancelled), db.translated():
            jobs.beat(connection, job, Progress(), 0.2)
        assert time.monotonic() - began < 2
    finally:
        connection.execute("DROP FUNCTION dawdle CASCADE")
