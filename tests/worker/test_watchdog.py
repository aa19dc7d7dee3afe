"""What hangs is ended: an import that moves no more or cannot beat, and the whole process when its loop is silent."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dataflow import db
from dataflow.config import Config
from dataflow.errors import LeaseLost, WorkerStopping
from dataflow.queue import leases
from dataflow.queue.attempt import Attempt
from dataflow.worker.watchdog import CUT_SECONDS, EXIT_STUCK, Watchdog
from tests.support.attempts import Clock, attempt_at_a_job
from tests.support.jobs import claimed, enqueue, row
from tests.support.waiting import eventually

#: A minute for the loop, 15 for an import.
CONFIG = Config.from_env({})


class Watched:
    """A watchdog with its clock, what it watches, and what it ended the process with."""

    def __init__(self, config: Config = CONFIG) -> None:
        self.clock = Clock()
        self.attempts: list[Attempt] = []
        self.left: list[int] = []
        self.dog = Watchdog(lambda: self.attempts, config, self.left.append, self.clock)

    def pass_time(self, seconds: int, is_ticking: bool, is_beating: bool = True) -> None:
        """Let time pass as the watchdog's thread sees it: a look every second."""
        for _ in range(seconds):
            self.clock.now += 1
            if is_ticking:
                self.dog.tick()
            for attempt in self.attempts:
                if is_beating:
                    attempt.confirmed = self.clock.now
            self.dog.look()

    def watch(self, attempt: Attempt) -> Attempt:
        attempt.confirmed = self.clock.now
        self.attempts.append(attempt)
        return attempt


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.mark.parametrize(("poll_milliseconds", "seconds"), [(500, 60), (20_000, 60), (60_000, 180)])
def test_a_loop_may_be_silent_for_three_polls_or_a_minute_whichever_is_longer(
    poll_milliseconds: int, seconds: int
) -> None:
    watched = Watched(Config.from_env({"WORKER_POLL_INTERVAL": str(poll_milliseconds)}))
    watched.pass_time(seconds, is_ticking=False)
    assert watched.left == []
    watched.pass_time(1, is_ticking=False)
    assert watched.left == [EXIT_STUCK]


def test_the_exit_code_tells_the_platform_that_something_is_wrong() -> None:
    assert EXIT_STUCK == 70


def test_a_loop_that_ticks_is_never_ended(watched: Watched) -> None:
    watched.pass_time(59, is_ticking=False)
    watched.pass_time(600, is_ticking=True)
    watched.pass_time(59, is_ticking=False)
    assert watched.left == []


def test_a_process_that_was_stopped_as_a_whole_is_not_stuck_but_is_watched_again_from_then_on(watched: Watched) -> None:
    watched.watch(attempt_at_a_job())
    watched.pass_time(10, is_ticking=False)
    watched.clock.now += 10_000
    watched.pass_time(60, is_ticking=False)
    assert watched.left == []
    watched.pass_time(2, is_ticking=False)
    assert watched.left


def test_an_import_that_has_not_moved_for_its_limit_is_cut_and_when_that_does_not_help_the_process_ends(
    watched: Watched,
) -> None:
    attempt = watched.watch(attempt_at_a_job())
    attempt.progress.bytes_done = 7
    watched.pass_time(900, is_ticking=True)
    assert attempt.stopped is None
    watched.pass_time(2, is_ticking=True)
    assert attempt.stopped is not None and attempt.stopped.code == "import_stalled" and attempt.stopped.retryable
    watched.pass_time(int(CUT_SECONDS) - 2, is_ticking=True)
    assert watched.left == []
    watched.pass_time(2, is_ticking=True)
    assert watched.left[0] == EXIT_STUCK


@pytest.mark.parametrize(
    ("waits_for", "message"),
    [
        (None, "The import has not moved for 901 s."),
        ("a lock", "The import has not moved for 901 s; it waits for a lock."),
    ],
)
def test_an_import_that_was_cut_says_what_it_waited_for_if_that_is_known(
    waits_for: str | None, message: str, watched: Watched
) -> None:
    attempt = watched.watch(attempt_at_a_job())
    attempt.waits_for = waits_for
    watched.pass_time(902, is_ticking=True)
    assert attempt.stopped is not None
    assert attempt.stopped.message == message


def test_how_long_an_import_may_stand_still_is_a_setting() -> None:
    watched = Watched(Config.from_env({"IMPORT_STALL_SECONDS": "77"}))
    attempt = watched.watch(attempt_at_a_job())
    watched.pass_time(77, is_ticking=True)
    assert attempt.stopped is None
    watched.pass_time(2, is_ticking=True)
    assert attempt.stopped is not None and attempt.stopped.code == "import_stalled"


def test_an_import_that_ends_when_it_is_cut_leaves_its_neighbours_alone(watched: Watched) -> None:
    watched.watch(attempt_at_a_job())
    watched.pass_time(902, is_ticking=True)
    watched.attempts = []
    neighbour = watched.watch(attempt_at_a_job())
    watched.pass_time(600, is_ticking=True)
    assert (neighbour.stopped, watched.left) == (None, [])


@pytest.mark.parametrize("counter", ["bytes_done", "rows_imported", "rows_rejected"])
def test_an_import_that_moves_a_little_now_and_then_is_left_alone(watched: Watched, counter: str) -> None:
    attempt = watched.watch(attempt_at_a_job())
    for _ in range(4):
        watched.pass_time(890, is_ticking=True)
        setattr(attempt.progress, counter, getattr(attempt.progress, counter) + 1)
    assert (attempt.stopped, watched.left) == (None, [])


def test_an_import_that_moves_does_not_hide_one_that_does_not(watched: Watched) -> None:
    moving, still = watched.watch(attempt_at_a_job()), watched.watch(attempt_at_a_job())
    for _ in range(3):
        moving.progress.bytes_done += 1
        watched.pass_time(301, is_ticking=True)
    assert still.stopped is not None and still.stopped.code == "import_stalled"
    assert moving.stopped is None


def test_the_time_of_a_job_begins_with_its_attempt(watched: Watched) -> None:
    for _ in range(3):
        watched.attempts = []
        watched.watch(attempt_at_a_job())
        watched.pass_time(800, is_ticking=True)
    assert watched.left == []


def test_an_attempt_without_a_confirmed_beat_for_a_lease_is_cut_out_of_the_statement_it_waits_in(
    database: str, connection: db.Connection, watched: Watched
) -> None:
    with db.connect(database, "dataflow/test/work") as work:
        attempt = watched.watch(Attempt(claimed(work), work))
        other = watched.watch(Attempt(claimed(connection), connection))
        errors: list[psycopg.Error] = []

        def wait() -> None:
            try:
                work.execute("SELECT pg_sleep(60)")
            except psycopg.Error as error:
                errors.append(error)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        watched.pass_time(int(leases.LEASE_SECONDS), is_ticking=True, is_beating=False)
        assert attempt.stopped is None, "the lease is over only after its last moment"
        other.confirmed = watched.clock.now
        watched.pass_time(1, is_ticking=True, is_beating=False)
        thread.join(5)
        assert errors and not thread.is_alive()
    assert isinstance(attempt.stopped, LeaseLost) and attempt.is_cut
    assert other.stopped is None
    assert watched.left == []


def test_an_attempt_keeps_the_reason_that_it_was_stopped_for_first(connection: db.Connection, watched: Watched) -> None:
    attempt = watched.watch(Attempt(claimed(connection), connection))
    reason = WorkerStopping("The worker is shutting down.")
    attempt.stop(reason)
    watched.pass_time(60, is_ticking=True, is_beating=False)
    assert attempt.stopped is reason


def test_a_process_that_slept_past_its_lease_gives_its_imports_up_at_its_first_look(
    database: str, watched: Watched
) -> None:
    with db.connect(database, "dataflow/test/work") as work:
        attempt = watched.watch(Attempt(claimed(work), work))
        watched.clock.now += leases.LEASE_SECONDS + 1
        watched.dog.look()
        assert isinstance(attempt.stopped, LeaseLost)
        with pytest.raises(psycopg.OperationalError):
            work.execute("SELECT 1")
    assert watched.left == []


def test_what_follows_an_import_on_its_connection_is_not_cut(connection: db.Connection, watched: Watched) -> None:
    attempt = watched.watch(Attempt(claimed(connection), connection))
    attempt.release()
    watched.pass_time(60, is_ticking=True, is_beating=False)
    assert (attempt.stopped, attempt.is_cut) == (None, False)
    assert connection.execute("SELECT 1").fetchone()


def test_its_thread_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataflow.worker.watchdog.LOOK_SECONDS", 0.01)
    looks: list[None] = []

    def attempts() -> list[Attempt]:
        looks.append(None)
        return []

    dog = Watchdog(attempts, CONFIG)
    dog.start()
    eventually(lambda: len(looks) >= 3)
    dog.stop()


# Real processes.

#: The command `worker` with less patience: a second instead of a minute, and the other times shorter in proportion. Its
#: statements may take as long as the first argument says.
HASTY_WORKER = """
import sys
from dataflow import cli
from dataflow.worker import outage, recovery, watchdog, loop
watchdog.LOOP_SECONDS, watchdog.LOOK_SECONDS, watchdog.SAYING_SECONDS = 1.0, 0.05, 0.5
outage.PAUSE_SECONDS = (0.1, 0.2)
loop.CLAIM_SECONDS = recovery.LOOK_SECONDS = float(sys.argv[1])
sys.exit(cli.main(["worker"]))
"""
HASTY_POLL = {"WORKER_POLL_INTERVAL": "100"}


@pytest.fixture
def start_hasty(database: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts such workers; what they write goes to `worker.log` unless it is said where."""
    started: list[subprocess.Popen[bytes]] = []

    def start(output: int | None = None, patience_seconds: float = 0.2, **variables: str) -> subprocess.Popen[bytes]:
        places = {"DATABASE_URL": database, "DATA_DIR": str(tmp_path / "state"), **HASTY_POLL, **variables}
        with (tmp_path / "worker.log").open("ab") as log:
            sink = log.fileno() if output is None else output
            command = [sys.executable, "-c", HASTY_WORKER, str(patience_seconds)]
            started.append(subprocess.Popen(command, env={**os.environ, **places}, stdout=sink, stderr=sink))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_worker_whose_loop_hangs_ends_with_an_error_and_shows_where_it_was(
    start_hasty: Callable[..., subprocess.Popen[bytes]], database: str, tmp_path: Path
) -> None:
    """Statements of the loop have their time; here they have too much of it, so that a lock makes the loop hang."""
    worker, log = start_hasty(patience_seconds=3600), tmp_path / "worker.log"
    eventually(lambda: "worker ready" in log.read_text())
    with db.connect(database, "psql") as psql, psql.transaction():
        psql.execute("LOCK TABLE jobs")
        assert worker.wait(10) == EXIT_STUCK
    assert "worker stuck" in log.read_text()
    assert "_serve" in log.read_text(), "the stack of the thread that hangs"


def test_a_worker_that_cannot_reach_its_database_or_gets_no_answer_there_is_not_stuck(
    start_hasty: Callable[..., subprocess.Popen[bytes]], database: str, connection: db.Connection, tmp_path: Path
) -> None:
    nowhere = start_hasty(DATABASE_URL=f"postgresql://postgres@/x?host={tmp_path}", DATA_DIR=str(tmp_path / "other"))
    waiting, log = start_hasty(), tmp_path / "worker.log"
    eventually(lambda: "worker ready" in log.read_text())
    with db.connect(database, "psql") as psql, psql.transaction():
        psql.execute("LOCK TABLE jobs")
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(1.5)
    job_id = enqueue(connection)
    eventually(lambda: row(connection, job_id)["attempt"])
    for worker in (nowhere, waiting):
        assert worker.poll() is None
        worker.send_signal(signal.SIGTERM)
    assert [worker.wait(10) for worker in (nowhere, waiting)] == [0, 0]


def test_a_worker_that_hangs_because_nobody_reads_its_log_ends_as_well(
    start_hasty: Callable[..., subprocess.Popen[bytes]],
) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"\n" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    worker = start_hasty(output=writer)
    try:
        assert worker.wait(10) == EXIT_STUCK
    finally:
        os.close(reader)
        os.close(writer)
