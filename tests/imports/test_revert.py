"""Undoing an import: all of its contacts and no others, each counted once, whatever comes in between."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

import psycopg
import pytest

from dataflow import db
from dataflow.config import Config
from dataflow.errors import DataFlowError, LeaseLost, WorkerStopping
from dataflow.imports.revert import RevertHandler, order
from dataflow.queue import jobs
from dataflow.queue.attempt import Attempt
from dataflow.queue.scope import ALL
from dataflow.worker.watchdog import Watchdog
from tests.support.imported import count_contacts, imported, row_of
from tests.support.jobs import reclaim
from tests.support.waiting import eventually

ROWS = 450
STEP_ROWS = 100


@pytest.fixture(scope="module")
def database(module_database: str) -> str:
    """One for all tests here, which is emptied and not put back."""
    return module_database


@pytest.fixture(autouse=True)
def fresh_start(connection: db.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty tables, and steps that are small."""
    connection.execute("SET lock_timeout = '10s'; TRUNCATE jobs, contacts")
    monkeypatch.setattr("dataflow.imports.revert.FIRST_STEP_ROWS", STEP_ROWS)
    monkeypatch.setattr("dataflow.imports.revert.MAX_STEP_ROWS", STEP_ROWS)


@pytest.fixture
def session(database: str) -> Iterator[db.Connection]:
    """That of a worker."""
    with db.connect(database, "dataflow/w/work") as opened:
        yield opened


def claimed(session: db.Connection, import_id: UUID) -> Attempt:
    """A revert of the import that has just been claimed."""
    revert_id = order(session, import_id, ALL)
    return claimed_again(session, revert_id)


def claimed_again(session: db.Connection, revert_id: UUID) -> Attempt:
    job = jobs.claim(session, "w")
    assert job is not None
    assert job.id == revert_id
    return Attempt(job, session)


@contextmanager
def interrupted(database: str, connection: db.Connection, attempt: Attempt) -> Iterator["Future[None]"]:
    """The revert, waiting in its third step for a contact that another application holds until the block ends."""
    waiting = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    assert attempt.connection is not None
    pid = attempt.connection.info.backend_pid
    with ThreadPoolExecutor(1) as threads:
        with db.connect(database, "other") as other, other.transaction():
            other.execute("SELECT FROM contacts WHERE email = 'user250@example.com' FOR UPDATE")
            done = threads.submit(RevertHandler(attempt).run, attempt.connection)
            eventually(lambda: connection.execute(waiting, [pid]).fetchone() is not None)
            yield done
        # With an error or without, it has ended.
        done.exception()


def gone(connection: db.Connection, import_id: UUID, revert_id: UUID) -> int:
    """How many contacts are, as the import and the revert say, too."""
    rows = ROWS - count_contacts(connection)
    assert [row_of(connection, job_id)["reverted_rows"] for job_id in (import_id, revert_id)] == [rows, rows]
    return rows


def is_about(rows: int, steps: int) -> bool:
    """Whether so many steps have deleted so many: ids are spread at random, but evenly."""
    return abs(rows - steps * STEP_ROWS) < STEP_ROWS / 2


@pytest.mark.parametrize("rows", [0, 1, STEP_ROWS - 1, STEP_ROWS, STEP_ROWS + 1, ROWS])
def test_all_contacts_of_the_import_are_deleted_and_no_others(
    rows: int, connection: db.Connection, session: db.Connection
) -> None:
    before = imported(connection, 3, "before")
    import_id = imported(connection, rows)
    after = imported(connection, 3, "after")
    connection.execute("INSERT INTO contacts (name, email, source) VALUES ('Own', 'own@example.com', 'own')")
    attempt = claimed(session, import_id)
    handler = RevertHandler(attempt)
    handler.run(session)
    assert handler.progress.rows_reverted == rows
    found = connection.execute("SELECT source, count(*)::int AS n FROM contacts GROUP BY 1").fetchall()
    assert {row["source"]: row["n"] for row in found} == {"before": 3, "after": 3, "own": 1}
    undone, revert = row_of(connection, import_id), row_of(connection, attempt.job.id)
    assert (undone["state"], undone["reverted_rows"], undone["rows_imported"]) == ("succeeded", rows, rows)
    assert undone["reverted_at"] is not None
    assert (revert["state"], revert["reverted_rows"], revert["rows_imported"]) == ("succeeded", rows, 0)
    assert revert["reverted_at"] is None
    assert [row_of(connection, job_id)["reverted_rows"] for job_id in (before, after)] == [None, None]


def test_contacts_that_others_have_deleted_are_not_counted_and_those_they_have_changed_are_deleted(
    connection: db.Connection, session: db.Connection
) -> None:
    import_id = imported(connection, ROWS)
    connection.execute("DELETE FROM contacts WHERE email = 'user7@example.com'")
    connection.execute("UPDATE contacts SET source = 'theirs', name = 'X' WHERE email = 'user8@example.com'")
    attempt = claimed(session, import_id)
    RevertHandler(attempt).run(session)
    assert row_of(connection, import_id)["reverted_rows"] == ROWS - 1
    assert connection.execute("SELECT FROM contacts").fetchone() is None


def test_a_contact_that_is_changed_while_it_waits_to_be_deleted_is_deleted_once(
    database: str, connection: db.Connection, session: db.Connection
) -> None:
    import_id = imported(connection, ROWS)
    attempt = claimed(session, import_id)
    waiting = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as threads:
        with db.connect(database, "other") as other, other.transaction():
            other.execute("UPDATE contacts SET name = 'New' WHERE email = 'user250@example.com'")
            done = threads.submit(RevertHandler(attempt).run, session)
            eventually(lambda: connection.execute(waiting, [session.info.backend_pid]).fetchone() is not None)
        done.result()
    assert gone(connection, import_id, attempt.job.id) == ROWS


def test_a_revert_that_is_stopped_keeps_what_it_has_done_and_another_attempt_goes_on_from_there(
    database: str, connection: db.Connection, session: db.Connection
) -> None:
    import_id = imported(connection, ROWS)
    attempt = claimed(session, import_id)
    with interrupted(database, connection, attempt) as done:
        assert is_about(gone(connection, import_id, attempt.job.id), steps=2)
        attempt.stop(WorkerStopping("stop"))
    assert isinstance(done.exception(), WorkerStopping)
    kept = gone(connection, import_id, attempt.job.id)
    assert is_about(kept, steps=3)
    assert row_of(connection, import_id)["reverted_at"] is None
    jobs.requeue(session, attempt.job, delay_seconds=0, charge=0, error=None)
    again = claimed_again(session, attempt.job.id)
    handler = RevertHandler(again)
    handler.run(session)
    assert handler.progress.rows_reverted == ROWS - kept
    assert gone(connection, import_id, attempt.job.id) == ROWS
    assert row_of(connection, import_id)["reverted_at"] is not None


def test_a_revert_that_is_cut_waits_no_longer_and_loses_no_more_than_a_step(
    database: str, connection: db.Connection, session: db.Connection
) -> None:
    import_id = imported(connection, ROWS)
    attempt = claimed(session, import_id)
    reason = WorkerStopping("cut")
    with interrupted(database, connection, attempt) as done:
        attempt.cut(reason)
        assert done.exception(timeout=5) is reason
    assert is_about(gone(connection, import_id, attempt.job.id), steps=2)


@pytest.mark.parametrize("taken", ["cancelled", "newer attempt"])
def test_whoever_has_lost_the_revert_deletes_no_more(
    taken: str, database: str, connection: db.Connection, session: db.Connection
) -> None:
    import_id = imported(connection, ROWS)
    attempt = claimed(session, import_id)
    changes = {"cancelled": "state = 'cancelled'", "newer attempt": "attempt = attempt + 1"}
    with interrupted(database, connection, attempt) as done:
        connection.execute(f"UPDATE jobs SET {changes[taken]} WHERE id = '{attempt.job.id}'".encode())
    assert isinstance(done.exception(), LeaseLost)
    assert is_about(gone(connection, import_id, attempt.job.id), steps=2)
    assert row_of(connection, import_id)["reverted_at"] is None


def test_a_revert_goes_on_though_the_row_of_its_import_has_been_deleted(
    connection: db.Connection, session: db.Connection
) -> None:
    import_id = imported(connection, ROWS)
    attempt = claimed(session, import_id)
    connection.execute("DELETE FROM jobs WHERE id = %s", [import_id])
    RevertHandler(attempt).run(session)
    assert count_contacts(connection) == 0
    assert row_of(connection, attempt.job.id)["reverted_rows"] == ROWS


def test_a_gap_in_the_range_takes_no_time(connection: db.Connection, session: db.Connection) -> None:
    """As there is one in an import of more rows than fit below one time stamp."""
    import_id, other_id = imported(connection, 5), imported(connection, 7)
    first, last = row_of(connection, import_id)["first_contact_id"], row_of(connection, other_id)["last_contact_id"]
    assert last.int - first.int > 2**64
    connection.execute("UPDATE jobs SET last_contact_id = %s WHERE id = %s", [last, import_id])
    attempt = claimed(session, import_id)
    patience = threading.Timer(10, attempt.stop, [WorkerStopping("It goes through the gap step by step.")])
    patience.start()
    RevertHandler(attempt).run(session)
    patience.cancel()
    assert row_of(connection, import_id)["reverted_rows"] == 12


def test_no_step_reads_more_than_its_part_of_a_table_without_statistics(connection: db.Connection) -> None:
    found = row_of(connection, imported(connection, 20_000))
    values = {"position": found["first_contact_id"], "last": found["last_contact_id"]}
    plan = connection.execute(b"EXPLAIN " + db.query("contacts/first"), values).fetchall()
    assert not any("Sort" in line["QUERY PLAN"] or "Bitmap" in line["QUERY PLAN"] for line in plan), plan


def test_limits_of_the_session_do_not_end_a_step(connection: db.Connection, session: db.Connection) -> None:
    import_id = imported(connection, 1)
    attempt = claimed(session, import_id)
    session.execute("SET statement_timeout = '50ms'")
    with on_delete(connection, "PERFORM pg_sleep(0.1);"):
        RevertHandler(attempt).run(session)
    assert row_of(connection, import_id)["reverted_rows"] == 1


@contextmanager
def on_delete(connection: db.Connection, commands: str) -> Iterator[None]:
    """Have this done for every contact that is deleted."""
    connection.execute(
        f"""CREATE FUNCTION deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {commands} RETURN old; END $$;
        CREATE TRIGGER deleted BEFORE DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION deleted()""".encode()
    )
    yield
    connection.execute("DROP FUNCTION deleted CASCADE")


def test_steps_are_smaller_where_rows_take_long(
    connection: db.Connection, session: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow.imports.revert.STEP_SECONDS", 0.02)
    import_id = imported(connection, 150)
    attempt = claimed(session, import_id)
    connection.execute("CREATE TABLE steps (number xid8)")
    with on_delete(connection, "PERFORM pg_sleep(0.001); INSERT INTO steps VALUES (pg_current_xact_id());"):
        RevertHandler(attempt).run(session)
    found = connection.execute("SELECT count(*)::int AS n FROM steps GROUP BY number ORDER BY number").fetchall()
    connection.execute("DROP TABLE steps")
    first, *others = [row["n"] for row in found]
    assert is_about(first, steps=1)
    assert max(others) < 40
    assert first + sum(others) == 150


def test_the_first_step_is_small_and_none_is_many_times_the_one_before(
    connection: db.Connection, session: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a row takes a tenth of a second, a first step of a thousand would be cut as stalled in every attempt."""
    monkeypatch.undo()
    attempt = claimed(session, imported(connection, 3_000))
    connection.execute("CREATE TABLE steps (number xid8)")
    with on_delete(connection, "INSERT INTO steps VALUES (pg_current_xact_id());"):
        RevertHandler(attempt).run(session)
    found = connection.execute("SELECT count(*)::int AS n FROM steps GROUP BY number ORDER BY number").fetchall()
    connection.execute("DROP TABLE steps")
    rows = [row["n"] for row in found]
    assert sum(rows) == 3_000
    assert all(step < most for step, most in zip(rows, (20, 150, 1_200), strict=False)), rows


def test_a_revert_that_moves_is_not_taken_for_stalled(connection: db.Connection, session: db.Connection) -> None:
    attempt = claimed(session, imported(connection, 1))
    now = 0.0
    exits: list[int] = []
    config = Config.from_env({"WORKER_POLL_INTERVAL": "3600000", "IMPORT_STALL_SECONDS": "60"})
    watchdog = Watchdog(lambda: [attempt], config, leave=exits.append, clock=lambda: now)
    attempt.connection = None
    progress = RevertHandler(attempt).progress
    for _ in range(8):
        now += 20
        progress.rows_reverted += 1
        watchdog.look()
    assert attempt.stopped is None
    for _ in range(4):
        now += 20
        watchdog.look()
    assert isinstance(attempt.stopped, DataFlowError)
    assert attempt.stopped.message == "The revert has not moved for 80 s."
    assert exits == []


def test_the_revert_of_a_worker_that_is_gone_says_how_far_it_came(database: str, connection: db.Connection) -> None:
    import_id = imported(connection, ROWS)
    with db.connect(database, "dataflow/gone/work") as session:
        attempt = claimed(session, import_id)
        with interrupted(database, connection, attempt):
            attempt.cut(WorkerStopping("died"))
    connection.execute(
        "UPDATE jobs SET backend_pid = NULL, heartbeat_at = now() - interval '1 hour' WHERE kind = 'revert'"
    )
    [lost] = reclaim(connection)
    assert (lost.id, lost.state) == (attempt.job.id, "queued")
    rows = gone(connection, import_id, attempt.job.id)
    error = row_of(connection, attempt.job.id)["error"]
    assert error == f"worker_lost: Worker w went away in attempt 1 (1 of 5); {rows} contacts are gone."


def test_a_refused_step_fails_the_revert_and_when_it_is_tried_again_it_goes_on_from_there(
    connection: db.Connection, work_off: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    """By a foreign key of another application."""
    import_id = imported(connection, ROWS)
    revert_id = order(connection, import_id, ALL, "request-1")
    connection.execute("CREATE TABLE calls (contact_id uuid REFERENCES contacts)")
    connection.execute("INSERT INTO calls SELECT id FROM contacts ORDER BY id OFFSET 250 LIMIT 1")
    with caplog.at_level(logging.INFO):
        assert work_off() == 1
        revert = row_of(connection, revert_id)
        assert (revert["state"], revert["failures"]) == ("failed", 1)
        assert revert["error"].startswith("database_error: The database refused: foreign key violation (")
        kept = gone(connection, import_id, revert_id)
        assert is_about(kept, steps=2)
        connection.execute("DROP TABLE calls")
        jobs.retry(connection, revert_id, ALL)
        assert work_off() == 0
    assert gone(connection, import_id, revert_id) == ROWS
    lines = [record for record in caplog.records if record.name == "dataflow.worker.runner"]
    texts = ["revert started", "revert failed", "revert started", "revert succeeded"]
    assert [record.getMessage() for record in lines] == texts
    facts = lines[-1].__dict__
    assert (facts["reverted"], facts["job_id"], facts["request_id"]) == (ROWS - kept, str(revert_id), "request-1")


@pytest.mark.parametrize("kept", ["true", "old.email = 'user250@example.com'"])
def test_contacts_that_a_trigger_keeps_fail_the_revert_and_when_it_is_gone_they_are_deleted(
    kept: str, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    import_id = imported(connection, ROWS)
    revert_id = order(connection, import_id, ALL)
    with on_delete(connection, f"IF {kept} THEN RETURN NULL; END IF;"):
        assert work_off() == 1
    revert = row_of(connection, revert_id)
    found = re.match(r"database_error: (\d+) of (\d+) contacts are still there", revert["error"])
    assert found and (found[1] == found[2] or found[1] == "1")
    assert (revert["state"], revert["failures"]) == ("failed", 1)
    assert is_about(ROWS - count_contacts(connection), steps=0 if kept == "true" else 2)
    assert row_of(connection, import_id)["reverted_at"] is None
    jobs.retry(connection, revert_id, ALL)
    assert work_off() == 0
    assert gone(connection, import_id, revert_id) == ROWS
    assert row_of(connection, import_id)["reverted_at"] is not None


def test_a_step_that_loses_against_another_transaction_is_tried_again(
    connection: db.Connection, work_off: Callable[[], int]
) -> None:
    import_id = imported(connection, 5)
    revert_id = order(connection, import_id, ALL)
    with on_delete(connection, "RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01';"):
        assert work_off() == 0
    revert = row_of(connection, revert_id)
    assert (revert["state"], revert["failures"], revert["reverted_rows"]) == ("queued", 1, 0)


def test_while_one_revert_is_unfinished_no_other_of_the_import_can_be_queued_in_psql(connection: db.Connection) -> None:
    import_id = imported(connection, 5)
    first = order(connection, import_id, ALL)
    jobs.cancel(connection, first, ALL)
    second = order(connection, import_id, ALL)
    assert second != first
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("UPDATE jobs SET state = 'queued' WHERE id = %s", [first])
