"""Sessions that notice death, can be told apart, can be cut, and whose errors are sorted into passing and lasting."""

import hashlib
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dataflow import db
from dataflow.config import Config
from dataflow.db.failures import connection_failure, translate
from dataflow.db.pool import Server
from dataflow.errors import DatabaseError, DatabaseUnavailable, StatementCancelled
from dataflow.ids import uuid7
from dataflow.imports.load import ImportHandler
from dataflow.local.postgres import EmbeddedPostgres
from dataflow.queue import jobs, notify, uploads
from dataflow.queue.attempt import Attempt
from dataflow.queue.jobs import Job
from dataflow.storage.base import Storage
from tests.drills.swallow import Swallower
from tests.support.jobs import COMPLETE, UPLOAD, row
from tests.support.objects import store
from tests.support.processes import free_port
from tests.support.waiting import eventually

ROLE = "dataflow/test/work"
_numbers = itertools.count(1)
SETTINGS = {
    "TimeZone": "UTC",
    "client_min_messages": "error",
    "idle_in_transaction_session_timeout": "1min",
    "idle_session_timeout": "0",
    "client_connection_check_interval": "1s",
}
#: A session over a Unix socket has none of these.
NETWORK_SETTINGS = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


@pytest.fixture(scope="module")
def anyone(server: str) -> Iterator[db.Connection]:
    """A connection for what needs no tables."""
    with db.connect(server, "dataflow/test") as opened:
        yield opened


def shown(connection: db.Connection, names: dict[str, str]) -> dict[str, Any]:
    def show(name: str) -> Any:
        found = connection.execute(f"SHOW {name}".encode()).fetchone()
        assert found is not None
        return next(iter(found.values()))

    return {name: show(name) for name in names}


def is_alive(connection: db.Connection, pid: int) -> bool:
    return connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() is not None


# What every session is set to.


def test_a_session_looks_after_its_client_and_keeps_no_transaction_open_for_ever(anyone: db.Connection) -> None:
    assert shown(anyone, SETTINGS) == SETTINGS


def test_a_connection_for_work_holds_more_of_what_is_sent_over_a_unix_socket(server: str) -> None:
    with db.connect(server, ROLE) as opened, socket.socket(fileno=os.dup(opened.fileno())) as line:
        before_bytes = line.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        db.widen_send_buffer(opened)
        after_bytes = line.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        # TEST_DATABASE_URL may be reached by TCP, whose buffers grow by themselves as long as nobody sets them.
        assert (after_bytes > before_bytes) == (line.family == socket.AF_UNIX)
        assert opened.execute("SELECT 1 AS one").fetchone() == {"one": 1}


def test_a_session_of_a_pool_has_the_same_settings(server: str) -> None:
    with closing(db.open_pool(server, "dataflow/web")) as pool, pool.connection() as connection:
        assert shown(connection, SETTINGS) == SETTINGS


def test_a_pool_behind_a_silent_network_refuses_in_time_and_is_of_use_as_soon_as_it_is_back(server: str) -> None:
    with Swallower(server) as network, closing(db.open_pool(network.url, "dataflow/web")) as pool:
        with db.borrowed(pool), db.borrowed(pool):
            pass
        network.cut()
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="No database connection within 3 s"), db.borrowed(pool):
            pass
        assert time.monotonic() - began < 2 * db.POOL_TIMEOUT_SECONDS
        network.heal()
        began = time.monotonic()
        with db.borrowed(pool) as connection:
            assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}
        assert time.monotonic() - began < 2


def test_a_request_whose_network_falls_silent_ends(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataflow.db.pool.REQUEST_SECONDS", 0.2)
    monkeypatch.setattr("dataflow.db.pool.SILENCE_SECONDS", 0.2)
    with (
        Swallower(server) as network,
        closing(db.open_pool(network.url, "dataflow/web")) as pool,
        pytest.raises(DatabaseUnavailable),
        db.borrowed(pool) as connection,
    ):
        network.cut()
        connection.execute("SELECT 1")


def test_a_server_that_is_starting_is_told_from_one_that_is_not_there(server: str) -> None:
    starting = DatabaseUnavailable("x")
    starting.__cause__ = psycopg.OperationalError("... FATAL:  the database system is starting up")
    away = DatabaseUnavailable("x")
    away.__cause__ = psycopg.OperationalError("connection refused")
    asked = Server(server, "x")
    assert (asked.is_starting(starting), asked.is_starting(away)) == (True, False)


@pytest.fixture(scope="module")
def network_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server that is reached over TCP."""
    port = free_port()
    settings = {"fsync": "off", "listen_addresses": "127.0.0.1", "port": str(port)}
    with EmbeddedPostgres(tmp_path_factory.mktemp("network"), settings):
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


def test_transactions_read_what_was_committed_meanwhile_whatever_the_default_of_the_database_is(server: str) -> None:
    """A job's row has been beaten since its import began; with another isolation no success could be written there."""
    strict = "-c default_transaction_isolation=serializable"
    with db.connect(server, "dataflow/test", options=strict) as connection:
        single = connection.execute("SHOW transaction_isolation").fetchone()
        with connection.transaction():
            within = connection.execute("SHOW transaction_isolation").fetchone()
    assert single == within == {"transaction_isolation": "read committed"}


def test_both_ends_of_a_network_connection_notice_that_the_other_is_gone(network_server: str) -> None:
    with db.connect(network_server, ROLE) as connection:
        assert shown(connection, NETWORK_SETTINGS) == NETWORK_SETTINGS
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            options = (socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            assert [line.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [2, 3]
            if sys.platform == "linux":
                assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
                assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000


#: The command `worker`, with heart beats that a test need not wait for.
BRISK_WORKER = """
import sys
from dataflow import cli
from dataflow.worker import heartbeat
heartbeat.INTERVAL_SECONDS = 0.1
sys.exit(cli.main(["worker"]))
"""


@pytest.fixture
def start_brisk(database: str, tmp_path: Path, state_folder: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts such workers; what they write goes to `worker.log`."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        environment = {**os.environ, "DATABASE_URL": database, "DATA_DIR": str(state_folder)}
        with (tmp_path / "worker.log").open("wb") as log:
            command = [sys.executable, "-c", BRISK_WORKER]
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        eventually(lambda: "worker ready" in (tmp_path / "worker.log").read_text())
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def enqueue_file(connection: db.Connection, storage: Storage) -> Callable[[int], Any]:
    """Queues a job of so many rows, and returns its id."""

    def make(rows: int) -> Any:
        job_id = uuid7()
        content = b"name,email\n" + b"".join(b"N,user%d@example.com\n" % number for number in range(rows))
        uploads.insert(connection, {**UPLOAD, "id": job_id, "object_key": f"{job_id}.csv"})
        stored = store(storage, f"{job_id}.csv", [content])
        digests = [[len(content), hashlib.sha256(content).hexdigest()]]
        facts = {"bytes_total": len(content), "object_etag": stored.etag, "digests": digests}
        uploads.queue(connection, job_id, {**COMPLETE, **facts})
        return job_id

    return make


#: Every insert waits until nobody else holds the gate.
GATED = """
CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1);
    RETURN new;
END $$;
CREATE TRIGGER gate BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION wait_at_gate()
"""


def test_every_session_of_a_worker_says_whose_it_is_and_what_for(
    database: str,
    connection: db.Connection,
    start_brisk: Callable[[], subprocess.Popen[bytes]],
    enqueue_file: Callable[[int], Any],
) -> None:
    def roles() -> set[str]:
        found = connection.execute(
            "SELECT application_name AS name FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE %s",
            [f"dataflow/%.{worker.pid}.%"],
        )
        names = [each["name"].split("/") for each in found.fetchall()]
        assert len({name for _, name, _ in names}) <= 1, "one life, one name"
        return {role for _, _, role in names}

    connection.execute(GATED.encode())
    with db.connect(database, "gate") as gate:
        gate.execute("SELECT pg_advisory_lock(1)")
        job_id = enqueue_file(10)
        worker = start_brisk()
        eventually(lambda: {"listen", "recover", "work", "beat"} <= roles())
        eventually(lambda: row(connection, job_id)["state"] == "running")
        with db.connect(database, "psql") as psql, psql.transaction():
            # The outcome has to wait, so that there is time to see who writes it.
            held = psql.execute("SELECT backend_pid, worker FROM jobs WHERE id = %s FOR UPDATE", [job_id]).fetchone()
            assert held is not None
            connection.execute("SELECT pg_terminate_backend(%s)", [held["backend_pid"]])
            eventually(lambda: "settle" in roles())
    assert f".{worker.pid}." in held["worker"]


def test_cancelling_a_statement_of_the_loop_does_not_end_the_worker(
    database: str,
    connection: db.Connection,
    start_brisk: Callable[[], subprocess.Popen[bytes]],
    enqueue_file: Callable[[int], Any],
) -> None:
    """An administrator who frees a lock by cancelling whatever waits for it, or a role with a statement_timeout."""
    worker = start_brisk()
    waiting = (
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'dataflow/%' AND wait_event_type = 'Lock'"
    )
    with db.connect(database, "psql") as psql, psql.transaction():
        psql.execute("LOCK TABLE jobs")
        eventually(lambda: connection.execute(waiting).fetchone() is not None)
    job_id = enqueue_file(1)

    def is_imported() -> bool:
        assert worker.poll() is None, f"it ended with {worker.poll()}"
        return bool(row(connection, job_id)["state"] == "succeeded")

    eventually(is_imported)


# Cutting.


def test_cutting_a_connection_frees_the_thread_in_it_and_the_server_ends_its_side(
    server: str, anyone: db.Connection
) -> None:
    anyone.execute("SELECT pg_advisory_lock(1)")
    active = "SELECT FROM pg_stat_activity WHERE pid = %s AND state = 'active' AND wait_event IS NOT NULL"
    freed: list[psycopg.Error] = []

    def wait(work: db.Connection, statement: bytes) -> None:
        try:
            work.execute(statement)
        except psycopg.Error as error:
            freed.append(error)

    with db.connect(server, ROLE) as sleeping, db.connect(server, ROLE) as locked_out:
        statements = {sleeping: b"SELECT pg_sleep(60)", locked_out: b"SELECT pg_advisory_lock(1)"}
        threads = [threading.Thread(target=wait, args=waiting, daemon=True) for waiting in statements.items()]
        pids = [work.info.backend_pid for work in statements]
        try:
            for thread, pid in zip(threads, pids, strict=True):
                thread.start()
                eventually(lambda pid=pid: anyone.execute(active, [pid]).fetchone() is not None)  # type: ignore[misc]
            cut_at = time.monotonic()
            for work in statements:
                db.cut(work)
            for thread in threads:
                thread.join(3)
            assert len(freed) == 2, "they did not wait for the server"
            eventually(lambda: not any(is_alive(anyone, pid) for pid in pids), seconds=3)
            assert time.monotonic() - cut_at < 6
        finally:
            for pid in pids:  # if it did not work, the threads wait for ever
                anyone.execute("SELECT pg_terminate_backend(%s)", [pid])
        assert sleeping.broken and locked_out.broken
    assert {type(translate(error)) for error in freed} == {DatabaseUnavailable}
    anyone.execute("SELECT pg_advisory_unlock(1)")


def test_cutting_ends_no_other_connection_and_may_be_done_again(server: str, anyone: db.Connection) -> None:
    with db.connect(server, ROLE) as work:
        for _ in range(2):
            db.cut(work)
        with pytest.raises(psycopg.OperationalError):
            work.execute("SELECT 1")
        db.cut(work)
    db.cut(work)
    assert anyone.execute("SELECT 1").fetchone()


# Errors.


def error_of(connection: db.Connection, sqlstate: str) -> DatabaseError:
    """Ours for what the server raises with this SQLSTATE."""
    statement = f"DO $$ BEGIN RAISE EXCEPTION 'the disk is full of secrets' USING ERRCODE = '{sqlstate}'; END $$"
    with pytest.raises(DatabaseError) as caught, db.translated():
        connection.execute(statement.encode())
    return caught.value


@pytest.mark.parametrize(
    "sqlstate",
    [
        *("08000", "08003", "08006", "40001", "40P01", "53000", "53100", "53200", "53300"),
        *("57P01", "57P02", "57P03", "57P05", "25006", "25P03", "55P03", "58030", "42P01"),
    ],
)
def test_an_error_that_passes_is_worth_another_attempt(anyone: db.Connection, sqlstate: str) -> None:
    error = error_of(anyone, sqlstate)
    assert isinstance(error, DatabaseUnavailable) and error.retryable
    assert sqlstate in error.message


@pytest.mark.parametrize(
    "sqlstate", ["22001", "23502", "23505", "23514", "42501", "42703", "53400", "57000", "P0001", "XX000"]
)
def test_an_error_that_would_come_again_is_not(anyone: db.Connection, sqlstate: str) -> None:
    error = error_of(anyone, sqlstate)
    assert (type(error), error.retryable) == (DatabaseError, False)
    assert sqlstate in error.message


def test_a_cancelled_statement_is_a_wish_and_never_tried_again(anyone: db.Connection) -> None:
    cancelled = error_of(anyone, "57014")
    with pytest.raises(StatementCancelled) as caught, db.translated(), anyone.transaction():
        anyone.execute("SET LOCAL statement_timeout = '50ms'")
        anyone.execute("SELECT pg_sleep(5)")
    assert [(type(error), error.retryable) for error in (cancelled, caught.value)] == [(StatementCancelled, False)] * 2


def test_a_broken_connection_and_a_server_that_is_not_there_are_worth_another_attempt(
    server: str, anyone: db.Connection
) -> None:
    with db.connect(server, ROLE) as work, pytest.raises(DatabaseUnavailable) as broken, db.translated():
        anyone.execute("SELECT pg_terminate_backend(%s)", [work.info.backend_pid])
        work.execute("SELECT pg_sleep(5)")
    with pytest.raises(DatabaseUnavailable) as missing:
        db.connect(f"postgresql://postgres@127.0.0.1:{free_port()}/x", ROLE)
    assert broken.value.retryable and missing.value.retryable


def test_an_error_of_ours_carries_neither_the_statement_nor_a_row(connection: db.Connection) -> None:
    connection.execute("ALTER TABLE contacts ADD CONSTRAINT short CHECK (length(email) < 5)")
    with pytest.raises(DatabaseError) as caught, db.translated():
        connection.execute("INSERT INTO contacts (name, email, source) VALUES ('N', 'private@example.com', 's')")
    expected = "The database refused: check violation (SQLSTATE 23514, constraint short, table contacts)."
    assert caught.value.message == expected


RAISE_ROW = """
CREATE FUNCTION check_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN new; END $$;
CREATE TRIGGER check_it BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION check_it()
"""


@pytest.mark.parametrize(
    "body",
    [
        "RAISE EXCEPTION 'not %', new.email",
        "RAISE EXCEPTION 'not %', new.email USING ERRCODE = '53100', CONSTRAINT = new.email, COLUMN = new.source",
        "RAISE EXCEPTION 'not %', new.email USING ERRCODE = 'check_violation', HINT = new.email",
        "new.id = new.email::uuid",
        "EXECUTE 'SELECT ' || new.email",
    ],
)
def test_what_a_trigger_says_of_a_row_is_not_repeated(connection: db.Connection, body: str) -> None:
    connection.execute(RAISE_ROW.format(body=body).encode())
    copy_contacts = "COPY contacts (name, email, source) FROM STDIN"
    with (
        pytest.raises(DatabaseError) as caught,
        db.translated(),
        connection.cursor() as cursor,
        cursor.copy(copy_contacts) as copy,
    ):
        copy.write("Ann Private\tprivate@example.com\tprivate\n")
    assert "rivate" not in caught.value.message
    assert connection_failure(caught.value) is None
    if "EXECUTE" not in body:
        assert "function check_it" in caught.value.message


# An import under a role with limits of its own.


@pytest.fixture
def capped_role(connection: db.Connection) -> Iterator[str]:
    """A role that may import, whose statements may take a tenth of a second and whose transactions may idle as long."""
    name = f"dataflow_capped_{os.getpid()}_{next(_numbers)}"
    connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA public TO {name}".encode())
    connection.execute(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {name}".encode())
    limits = dict.fromkeys(("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"), 100)
    if connection.info.server_version >= 170_000:
        limits["transaction_timeout"] = 250
    for limit, milliseconds in limits.items():
        connection.execute(f"ALTER ROLE {name} SET {limit} = {milliseconds}".encode())
    yield name
    connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


#: Notes under which limits it runs, in the import's own transaction, and takes longer than the role may.
SLOW_AND_CURIOUS = """
CREATE TABLE seen (name TEXT, setting TEXT);
GRANT INSERT ON seen TO public;
CREATE FUNCTION look_slowly() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.3);
    INSERT INTO seen
    SELECT name, current_setting(name) FROM unnest(ARRAY['statement_timeout', 'lock_timeout',
        'idle_in_transaction_session_timeout', 'TimeZone', 'client_min_messages']) name;
    RETURN new;
END $$;
CREATE TRIGGER look_slowly BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION look_slowly()
"""
LIMITS_OF_AN_IMPORT = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "1min",
    "TimeZone": "UTC",
    "client_min_messages": "error",
}


def test_an_import_takes_as_long_as_it_takes_whatever_limits_its_role_has(
    connection: db.Connection,
    config: Config,
    storage: Storage,
    capped_role: str,
    enqueue_file: Callable[[int], Any],
) -> None:
    connection.execute(SLOW_AND_CURIOUS.encode())
    job_id = enqueue_file(2)
    with db.connect(config.database_url, ROLE, user=capped_role, password="x") as work:
        with pytest.raises(StatementCancelled), db.translated():
            work.execute("SELECT pg_sleep(5)")
        job: Job | None = jobs.claim(work, "w")
        assert job is not None
        ImportHandler(Attempt(job, work), storage, config).run(work)
        with pytest.raises(StatementCancelled), db.translated():
            work.execute("SELECT pg_sleep(5)")  # the limits of the role are back
    found = row(connection, job_id)
    assert (found["state"], found["rows_imported"]) == ("succeeded", 2)
    seen = connection.execute("SELECT DISTINCT name, setting FROM seen").fetchall()
    assert {each["name"]: each["setting"] for each in seen} == LIMITS_OF_AN_IMPORT


# Hearing.


def test_a_listener_hears_what_another_session_sends_also_among_other_news(server: str) -> None:
    with db.connect(server, "listen") as listener, db.connect(server, "prove") as sender:
        notify.listen(listener)
        for _ in range(5):
            sender.execute("SELECT pg_notify('dataflow_jobs', '')")
        assert notify.hears(listener, sender, 5.0) is True
        assert notify.hears(listener, sender, 5.0) is True


def test_a_session_whose_listen_went_elsewhere_is_known_within_the_time_it_is_given(server: str) -> None:
    """So it is behind a transaction pooler; other news, which may reach it, proves nothing."""
    with db.connect(server, "listen") as listener, db.connect(server, "prove") as sender:
        began = time.monotonic()
        assert notify.hears(listener, sender, 0.3) is False
        assert 0.3 <= time.monotonic() - began < 4
