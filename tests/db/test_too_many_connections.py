"""A server, a role or a database that has no connection left: named, waited for, and lived with on what there is."""

import hashlib
import itertools
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from dataflow import db
from dataflow.config import Config
from dataflow.db.failures import translate
from dataflow.db.kept_connection import KeptConnection
from dataflow.errors import DatabaseError, TooManyConnections
from dataflow.ids import uuid7
from dataflow.local.postgres import EmbeddedPostgres
from dataflow.queue import jobs, uploads
from dataflow.storage.base import Storage
from dataflow.worker import connection_plan
from dataflow.worker.connection_plan import OWN_CONNECTIONS, ConnectionPlan
from dataflow.worker.loop import Worker
from dataflow.worker.pool import GROWTH_SECONDS, WorkConnections
from tests.support.databases import on_server
from tests.support.jobs import COMPLETE, UPLOAD, claimed, row
from tests.support.objects import store
from tests.support.processes import ChildProcess, Web, WorkerProcess
from tests.support.waiting import eventually

CSV = {"headers": {"Content-Type": "text/csv", "X-Source": "s"}, "data": b"name,email\nAnn,ann@example.com\n"}
_numbers = itertools.count(1)


class Role:
    """A role that may do what the tests' own may, but for the number of its connections."""

    def __init__(self, server: str) -> None:
        self.name = f"dataflow_limited_{os.getpid()}_{next(_numbers)}"
        self._server = server
        on_server(server, f"CREATE ROLE {{name}} LOGIN PASSWORD '{urlsplit(server).password or ''}'", self.name)
        with psycopg.connect(server, autocommit=True) as connection:
            owner = connection.info.user
        on_server(server, "GRANT {owner} TO {name}", self.name, owner=owner)

    def url(self, database: str) -> str:
        password = urlsplit(self._server).password or "none"
        return re.sub(r"//[^@/]*@|//(?=/)", f"//{self.name}:{password}@", database)

    def limit(self, connections: int) -> None:
        """From now on; those that are there stay."""
        on_server(self._server, f"ALTER ROLE {{name}} CONNECTION LIMIT {connections}", self.name)

    def drop(self) -> None:
        on_server(self._server, "DROP ROLE {name}", self.name)


@pytest.fixture
def role(server: str) -> Iterator[Role]:
    made = Role(server)
    yield made
    made.drop()


@pytest.fixture
def limited(role: Role, database: str) -> str:
    """URL of the test's database for the role."""
    return role.url(database)


# What it is called.


def test_a_role_that_has_no_connection_left_is_named(role: Role, limited: str) -> None:
    role.limit(1)
    with db.connect(limited, "t"), pytest.raises(TooManyConnections) as caught:
        db.connect(limited, "t")
    assert (caught.value.code, caught.value.status, caught.value.retryable) == ("too_many_connections", 503, True)
    expected = "The database has too many connections: the CONNECTION LIMIT of the role is reached. Raise it, or lower"
    assert caught.value.message.startswith(expected)


def test_a_database_that_has_no_connection_left_is_named(role: Role, server: str, limited: str, database: str) -> None:
    name = urlsplit(database).path[1:]
    on_server(server, "ALTER DATABASE {name} CONNECTION LIMIT 0", name)
    try:
        with pytest.raises(TooManyConnections, match="the CONNECTION LIMIT of the database is reached"):
            db.connect(limited, "t")
    finally:
        on_server(server, "ALTER DATABASE {name} CONNECTION LIMIT -1", name)


@pytest.fixture(scope="module")
def small_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server with twelve connections: nine for everybody, two are reserved and one is for superusers."""
    limits = {"max_connections": "12", "reserved_connections": "2", "superuser_reserved_connections": "1"}
    settings = {"fsync": "off", "max_wal_senders": "0", **limits}
    with EmbeddedPostgres(tmp_path_factory.mktemp("small"), settings) as postgres:
        db.migrate(postgres.url)
        yield postgres


@pytest.fixture
def small_server(small_postgres: EmbeddedPostgres) -> str:
    """Its URL."""
    return small_postgres.url


def test_a_server_that_has_no_connection_left_is_named(small_server: str) -> None:
    role = Role(small_server)
    with ExitStack() as opened:
        reserved = fill(role.url(small_server), opened)
        too_many = fill(small_server, opened)
    # Two texts of the server's: who may have none of the last ones is told that they are reserved.
    assert {"max_connections of the server is reached" in error.message for error in (reserved, too_many)} == {True}
    assert str(reserved.__cause__) != str(too_many.__cause__)
    eventually(lambda: can_connect(small_server))
    role.drop()


def fill(url: str, opened: ExitStack) -> TooManyConnections:
    """Open connections until one is refused; why it is."""
    while True:
        try:
            opened.enter_context(db.connect(url, "dataflow/test/other"))
        except TooManyConnections as error:
            return error


def can_connect(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.unit
@pytest.mark.parametrize(
    "said",
    [
        "no more connections allowed (max_client_conn)",
        "client connections exceeded (max_db_client_connections)",
        "MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size",
        "Max client connections reached",
        "odyssey: c9f28a: too many tcp connections (global client_max 100)",
    ],
)
def test_a_pooler_that_has_no_connection_left_is_named(said: str) -> None:
    error = psycopg.OperationalError(f'connection to server at "10.0.0.1", port 6543 failed: FATAL:  {said}')
    limit = "a limit" if said.startswith("odyssey") else "the number of clients of the pooler"
    assert f"too many connections: {limit} is reached. " in translate(error).message


NODE = "connection to the remote node n2:5432 failed with the following error: FATAL:  sorry, too many clients already"
RESERVED = "remaining connection slots are reserved for non-replication superuser connections"


def raising(sqlstate: str, message: str, detail: str = "none") -> str:
    """A statement."""
    return f"DO $$ BEGIN RAISE '{message}' USING ERRCODE = '{sqlstate}', DETAIL = '{detail}'; END $$"


@pytest.mark.parametrize(
    ("statement", "limit"),
    [
        (raising("53300", "somebody is in the way"), "a limit"),
        (raising("53300", RESERVED), "max_connections of the server"),
        (raising("08006", NODE), "max_connections of the server"),
        (raising("08001", "could not connect to server n2", f"FATAL:  {RESERVED}"), "max_connections of the server"),
        (raising("XX000", "FATAL:  too many connections for role app"), "the CONNECTION LIMIT of the role"),
    ],
)
def test_a_node_that_has_no_connection_left_is_named(connection: db.Connection, statement: str, limit: str) -> None:
    with pytest.raises(TooManyConnections) as caught, db.translated():
        connection.execute(statement.encode())
    assert f"too many connections: {limit} is reached (" in caught.value.message


@pytest.mark.parametrize("sqlstate", ["P0001", "23514", "08006"])
def test_what_is_not_about_connections_is_not_taken_for_it(connection: db.Connection, sqlstate: str) -> None:
    message = "no such host" if sqlstate == "08006" else NODE
    with pytest.raises(DatabaseError) as caught, db.translated():
        connection.execute(raising(sqlstate, message).encode())
    assert not isinstance(caught.value, TooManyConnections)


# What is planned and what is allowed.


def planned(caplog: pytest.LogCaptureFixture, url: str, config: Config) -> dict[str, Any]:
    caplog.clear()
    with caplog.at_level("INFO"), db.connect(url, "t") as connection:
        connection_plan.log(connection, config)
    (record,) = [record for record in caplog.records if record.message == "connections planned"]
    return {**vars(record), "level": record.levelname}


def test_the_plan_is_compared_with_the_smallest_limit_and_names_it(
    role: Role, limited: str, database: str, server: str, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    server_limits = "SELECT current_setting('max_connections')::int AS all_of_them,"
    server_limits += " current_setting('superuser_reserved_connections')::int AS reserved"
    with db.connect(server, "t") as connection:
        found = connection.execute(server_limits.encode()).fetchone()
    assert found is not None
    name = urlsplit(database).path[1:]

    def allowed(url: str) -> tuple[int, str, str]:
        facts = planned(caplog, url, config)
        return facts["allowed"], facts["allowed_by"], facts["level"]

    server_limit = "max_connections of the server"
    assert allowed(database) == (found["all_of_them"], server_limit, "INFO")
    assert allowed(limited) == (found["all_of_them"] - found["reserved"], server_limit, "INFO")
    role.limit(42)
    assert allowed(limited) == (42, "CONNECTION LIMIT of the role", "INFO")
    on_server(server, "ALTER DATABASE {name} CONNECTION LIMIT 41", name)
    try:
        assert allowed(limited) == (41, "CONNECTION LIMIT of the database", "WARNING")
        assert allowed(database)[1] == server_limit, "a superuser is not bound by it"
    finally:
        on_server(server, "ALTER DATABASE {name} CONNECTION LIMIT -1", name)


def test_connections_that_are_reserved_count_for_those_who_may_use_them(
    small_server: str, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    role = Role(small_server)
    try:
        assert planned(caplog, role.url(small_server), config)["allowed"] == 9
        on_server(small_server, "GRANT pg_use_reserved_connections TO {name}", role.name)
        assert planned(caplog, role.url(small_server), config)["allowed"] == 11
        assert planned(caplog, small_server, config)["allowed"] == 12
    finally:
        role.drop()


def test_the_plan_says_what_each_process_takes(make_config: Callable[..., Config]) -> None:
    plan = ConnectionPlan.of(make_config(WEB_CONCURRENCY=3, WORKER_CONCURRENCY=4))
    assert (plan.web_processes, plan.each_web, plan.worker, plan.total) == (3, 13, 10, 49)
    assert ConnectionPlan.of(make_config(ENABLE_METRICS="false", MAX_EXPORTS=5)).each_web == 15


# Concurrency, and connections that stay.


@pytest.fixture
def clock() -> list[float]:
    """Seconds, to be set."""
    return [0.0]


@pytest.fixture
def work(limited: str, clock: list[float]) -> Iterator[WorkConnections]:
    """At most four connections of the role."""
    made = WorkConnections(4, lambda: db.connect(limited, "dataflow/test/work"), clock=lambda: clock[0])
    yield made
    made.close_idle()


def take(work: WorkConnections) -> db.Connection:
    connection = work.take()
    assert connection is not None
    return connection


def test_concurrency_shrinks_to_the_connections_that_are_there_and_say_so_once(
    role: Role, work: WorkConnections, caplog: pytest.LogCaptureFixture
) -> None:
    role.limit(2)
    taken = [take(work), take(work)]
    for _ in range(3):
        assert work.take() is None
    (told,) = [vars(record) for record in caplog.records if record.message == "concurrency reduced"]
    assert (told["concurrency"], told["of"], told["code"]) == (2, 4, "too_many_connections")
    pids = {connection.info.backend_pid for connection in taken}
    for connection in taken:
        work.give_back(connection)
    # None is given up, for who knows whether there will be another.
    again = [take(work), take(work)]
    assert {connection.info.backend_pid for connection in again} == pids
    for connection in again:
        work.give_back(connection)


def test_concurrency_grows_by_one_a_minute_until_all_are_back(
    role: Role, work: WorkConnections, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    role.limit(1)
    taken = [take(work)]
    assert work.take() is None
    work.grow()
    clock[0] += GROWTH_SECONDS
    work.grow()
    assert (work.capacity, work.seconds_until_growth()) == (1, GROWTH_SECONDS), "the server is still full"
    role.limit(-1)
    capacities = []
    with caplog.at_level("INFO"):
        for _ in range(4):
            clock[0] += GROWTH_SECONDS - 1
            work.grow()
            clock[0] += 1
            work.grow()
            capacities.append(work.capacity)
    assert capacities == [2, 3, 4, 4]
    assert caplog.messages.count("concurrency is full again") == 1
    taken += [take(work) for _ in range(3)]
    for connection in taken:
        work.give_back(connection)
    assert [connection.closed for connection in taken].count(False) == 1, "as before, one is kept"


def test_without_a_single_connection_it_is_tried_again_soon_and_then_more_seldom(
    role: Role, work: WorkConnections, clock: list[float]
) -> None:
    role.limit(0)
    with pytest.raises(TooManyConnections):
        work.take()
    pauses = []
    for _ in range(12):
        pauses.append(work.seconds_until_growth())
        clock[0] += pauses[-1]
        work.grow()
        assert work.capacity == 0
    assert pauses[0] <= 0.1
    assert 2.5 <= pauses[-1] <= 5
    role.limit(-1)
    clock[0] += work.seconds_until_growth()
    work.grow()
    work.give_back(take(work))
    assert work.capacity == 1


def test_a_connection_that_the_server_has_ended_meanwhile_is_replaced(
    work: WorkConnections, connection: db.Connection
) -> None:
    ended = take(work)
    work.give_back(ended)
    connection.execute("SELECT pg_terminate_backend(%s)", [ended.info.backend_pid])
    eventually(lambda: db.has_spoken(ended))
    fresh = take(work)
    assert fresh.execute("SELECT 1 AS one").fetchone() == {"one": 1}
    work.give_back(fresh)


@pytest.fixture
def kept(limited: str) -> Iterator[KeptConnection]:
    made = KeptConnection(limited, "dataflow/test/own")
    yield made
    made.close()


def pid_of(kept: KeptConnection) -> int:
    with kept.use() as connection:
        return connection.info.backend_pid


def test_a_connection_of_its_own_stays_until_it_breaks(
    kept: KeptConnection, role: Role, connection: db.Connection
) -> None:
    kept.open()
    role.limit(0)
    before = pid_of(kept)
    kept.open()
    assert pid_of(kept) == before
    connection.execute("SELECT pg_terminate_backend(%s)", [before])
    with pytest.raises(TooManyConnections):
        eventually(lambda: pid_of(kept) != before)
    role.limit(-1)
    after = pid_of(kept)
    connection.execute("SELECT pg_terminate_backend(%s)", [after])

    def is_replaced() -> bool:
        kept.open()
        return pid_of(kept) not in (before, after)

    eventually(is_replaced)


def test_a_connection_of_its_own_serves_one_thread_at_a_time_and_keeps_nobody_from_opening_it(
    kept: KeptConnection,
) -> None:
    kept.open()
    with ThreadPoolExecutor(1) as other:
        with kept.use() as connection:
            kept.open()
            waiting = other.submit(pid_of, kept)
            assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}
            assert not waiting.done()
        assert waiting.result(5) == pid_of(kept)


def test_what_is_not_opened_or_closed_again_has_a_connection_only_while_it_is_used(kept: KeptConnection) -> None:
    with kept.use() as connection:
        assert not connection.closed
    assert connection.closed
    kept.open()
    with kept.use() as connection:
        kept.close()
        assert not connection.closed
    assert connection.closed


# Jobs.


def fail_with(connection: db.Connection, sqlstate: str, message: str) -> None:
    """Have the server refuse every contact."""
    body = f"BEGIN RAISE '{message}' USING ERRCODE = '{sqlstate}'; END"
    connection.execute(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$".encode())
    connection.execute("CREATE TRIGGER refuse BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION refuse()")


def pass_time(connection: db.Connection, job_id: str, seconds: float) -> None:
    """As if the first attempt were so much longer ago; and the next one is due."""
    shift = "uncharged_since = uncharged_since - make_interval(secs => %s::float), run_at = clock_timestamp()"
    connection.execute(f"UPDATE jobs SET {shift} WHERE id = %s".encode(), [seconds, job_id])


@pytest.mark.parametrize(("sqlstate", "message"), [("53300", RESERVED), ("08006", NODE)])
def test_a_job_is_not_charged_for_half_an_hour_in_which_it_finds_no_connection_and_then_it_is(
    sqlstate: str,
    message: str,
    web: Web,
    work_off: Callable[[], int],
    connection: db.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fail_with(connection, sqlstate, message)
    job_id = web.post(**CSV).json()["jobId"]

    def attempt() -> dict[str, Any]:
        assert work_off() == 0
        return row(connection, job_id)

    first = attempt()
    assert (first["state"], first["failures"]) == ("queued", 0)
    assert first["error"].startswith("too_many_connections: The database has too many connections: ")
    retried = vars(next(record for record in caplog.records if record.message == "import will be retried"))
    assert (retried["code"], retried["is_charged"]) == ("too_many_connections", False)
    pass_time(connection, job_id, 29 * 60)
    second = attempt()
    assert (second["state"], second["failures"]) == ("queued", 0)
    pass_time(connection, job_id, 61)
    third = attempt()
    assert (third["state"], third["failures"]) == ("queued", 1)
    assert third["error"].startswith("too_many_connections: ")
    connection.execute("DROP FUNCTION refuse CASCADE")
    pass_time(connection, job_id, 0)
    assert attempt()["state"] == "succeeded"


def test_a_job_that_has_spent_its_budget_and_the_half_hour_fails_and_has_both_again_when_it_is_retried(
    web: Web, work_off: Callable[[], int], connection: db.Connection
) -> None:
    fail_with(connection, "53300", "full")
    job_id = web.post(**CSV).json()["jobId"]
    connection.execute("UPDATE jobs SET failures = max_failures - 1")
    assert work_off() == 0
    pass_time(connection, job_id, 31 * 60)
    assert work_off() == 1
    assert row(connection, job_id)["state"] == "failed"
    assert web.post(f"/jobs/{job_id}/retry").status_code == 202
    assert (row(connection, job_id)["failures"], row(connection, job_id)["uncharged_since"]) == (0, None)
    assert work_off() == 0
    assert row(connection, job_id)["failures"] == 0


@pytest.mark.parametrize(("minutes", "least", "most"), [(0, 2.5, 7.5), (0.5, 15, 45), (20, 30, 90)])
def test_the_longer_a_job_finds_no_connection_the_longer_it_waits_up_to_a_minute(
    minutes: float, least: float, most: float, connection: db.Connection
) -> None:
    waits = []
    for _ in range(20):
        job = claimed(connection)
        statement = "UPDATE jobs SET uncharged_since = clock_timestamp() - make_interval(secs => %s) WHERE id = %s"
        connection.execute(statement, [60.0 * minutes, job.id])
        waits.append(jobs.requeue_uncharged(connection, job, "too_many_connections: x") or 0.0)
        connection.execute("DELETE FROM jobs")
    assert least * 0.98 <= min(waits) < max(waits) <= most * 1.02


def test_an_attempt_that_is_no_longer_the_current_one_requeues_nothing(connection: db.Connection) -> None:
    job = claimed(connection)
    connection.execute("UPDATE jobs SET attempt = attempt + 1")
    assert jobs.requeue_uncharged(connection, job, "too_many_connections: x") is None
    assert row(connection, job.id)["state"] == "running"


# Processes.

#: Imports wait until nobody else has the lock.
GATE = """
CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN new; END $$;
CREATE TRIGGER wait_at_gate BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION wait_at_gate()
"""
OWN_SESSIONS = """
SELECT split_part(application_name, '/', 3) AS purpose, pid, backend_start FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'dataflow/%/%'
"""


def sessions(connection: db.Connection) -> dict[str, int]:
    """The process of each session of the worker's own."""
    found = connection.execute(OWN_SESSIONS.encode()).fetchall()
    return {row["purpose"]: row["pid"] for row in found if row["purpose"] != "work"}


def count(connection: db.Connection, rows: str) -> int:
    found = connection.execute(f"SELECT count(*) FROM {rows}".encode()).fetchone()
    assert found is not None
    return int(found["count"])


def running(connection: db.Connection) -> int:
    return count(connection, "jobs WHERE state = 'running'")


def test_imports_go_on_on_the_connections_that_a_role_has_room_for_and_the_workers_own_connections_stay(
    web: Web, start_worker: Callable[..., WorkerProcess], role: Role, limited: str, connection: db.Connection
) -> None:
    role.limit(OWN_CONNECTIONS + 2)
    worker = start_worker(DATABASE_URL=limited, WORKER_CONCURRENCY=4)
    connection.execute(GATE.encode())
    opened = eventually(lambda: (found := sessions(connection)) and len(found) == OWN_CONNECTIONS and found)
    assert set(opened) == {"listen", "beat", "recover", "sweep", "settle", "complete"}
    connection.execute("SELECT pg_advisory_lock(7)")
    ids = [web.post(**CSV).json()["jobId"] for _ in range(10)]
    eventually(lambda: "concurrency reduced" in worker.log())
    assert running(connection) == 2
    connection.execute("SELECT pg_advisory_unlock(7)")
    assert [web.finished_job(job_id)["state"] for job_id in ids] == ["succeeded"] * 10
    assert sessions(connection) == opened
    log = [json.loads(line) for line in worker.log().splitlines()]
    (reduced,) = [line for line in log if line["message"] == "concurrency reduced"]
    assert (reduced["concurrency"], reduced["of"], reduced["code"]) == (2, 4, "too_many_connections")
    assert not [line for line in log if line["message"] in ("database lost", "heartbeat missed")]
    assert max(web.job(job_id)["failures"] for job_id in ids) == 0
    started = connection.execute(OWN_SESSIONS.encode()).fetchall()
    first_of_jobs = min(row["backend_start"] for row in started if row["purpose"] == "work")
    assert max(row["backend_start"] for row in started if row["purpose"] != "work") < first_of_jobs


def test_a_full_server_stops_neither_imports_nor_their_settling_and_whoever_lost_all_connections_works_again(
    web: Web, start_worker: Callable[..., WorkerProcess], role: Role, limited: str, connection: db.Connection
) -> None:
    worker = start_worker(DATABASE_URL=limited, WORKER_CONCURRENCY=4)
    connection.execute(GATE.encode())
    assert web.finished_job(web.post(**CSV).json()["jobId"])["state"] == "succeeded"
    role.limit(0)
    opened = sessions(connection)
    assert web.finished_job(web.post(**CSV).json()["jobId"])["state"] == "succeeded"
    connection.execute("SELECT pg_advisory_lock(7)")
    job_id = web.post(**CSV).json()["jobId"]
    eventually(lambda: running(connection) == 1)
    connection.execute("SELECT pg_terminate_backend(backend_pid) FROM jobs WHERE state = 'running'")
    eventually(lambda: web.job(job_id)["failures"] == 1)
    connection.execute("SELECT pg_advisory_unlock(7); UPDATE jobs SET run_at = now() WHERE state = 'queued'")
    eventually(lambda: '"concurrency": 0' in worker.log())
    assert sessions(connection) == opened
    role.limit(-1)
    assert web.finished_job(job_id)["state"] == "succeeded"
    assert sessions(connection) == opened


def test_a_worker_that_finds_no_room_for_its_own_connections_waits_for_it_and_says_so(
    role: Role, limited: str, state_folder: Path, children: list[ChildProcess]
) -> None:
    role.limit(OWN_CONNECTIONS - 1)
    worker = WorkerProcess({"DATABASE_URL": limited, "DATA_DIR": state_folder, "LOG_FORMAT": "json"})
    children.append(worker)
    eventually(lambda: "too many connections" in worker.log())
    assert "worker ready" not in worker.log()
    role.limit(OWN_CONNECTIONS)
    eventually(lambda: "worker ready" in worker.log())


def test_a_single_run_that_finds_no_room_for_its_jobs_is_an_error(
    make_config: Callable[..., Config], storage: Storage, role: Role, limited: str
) -> None:
    role.limit(OWN_CONNECTIONS)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with pytest.raises(TooManyConnections):
        Worker(make_config(DATABASE_URL=limited), storage).run(once=True)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_a_web_process_without_a_connection_says_why_and_with_a_single_one_serves_all(
    start_web: Callable[..., Web], role: Role, limited: str
) -> None:
    role.limit(0)
    web = start_web(DATABASE_URL=limited)
    health = web.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    named = "The database has too many connections: the CONNECTION LIMIT of the role is reached."
    assert health.json()["checks"]["database"]["error"].startswith(named)
    refused = web.post(**CSV)
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_connections")
    assert refused.headers["Retry-After"] == web.post(**CSV).headers["Retry-After"] != ""
    assert '"code": "too_many_connections"' in web.log()
    role.limit(1)
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda _: web.post(**CSV).status_code, range(32)))
    assert set(answers) == {200}
    role.limit(0)
    assert web.post(**CSV).status_code == 200
    assert web.get("/health").status_code == 200


def enqueue_file(connection: db.Connection, storage: Storage) -> None:
    job_id, content = uuid7(), CSV["data"]
    uploads.insert(connection, {**UPLOAD, "id": job_id, "object_key": f"{job_id}.csv"})
    stored = store(storage, f"{job_id}.csv", [content])
    digests = [[len(content), hashlib.sha256(content).hexdigest()]]
    facts = {"bytes_total": len(content), "object_etag": stored.etag, "digests": digests}
    uploads.queue(connection, job_id, {**COMPLETE, **facts})


def test_on_a_server_that_is_full_of_others_imports_go_on_on_a_single_connection(
    small_server: str, storage: Storage, state_folder: Path, children: list[ChildProcess]
) -> None:
    settings = {"DATABASE_URL": small_server, "DATA_DIR": state_folder, "WORKER_CONCURRENCY": 4}
    worker = WorkerProcess.start(settings)
    children.append(worker)
    with ExitStack() as others:
        connection = others.enter_context(db.connect(small_server, "dataflow/test"))
        eventually(lambda: count(connection, "pg_stat_activity WHERE application_name LIKE '%/work'") == 1)
        fill(small_server, others)
        connection.execute(GATE.encode())
        connection.execute("SELECT pg_advisory_lock(7)")
        for _ in range(6):
            enqueue_file(connection, storage)
        eventually(lambda: "concurrency reduced" in worker.log())
        assert "max_connections of the server is reached" in worker.log()
        assert running(connection) == 1
        connection.execute("SELECT pg_advisory_unlock(7)")
        eventually(lambda: count(connection, "jobs WHERE state = 'succeeded' AND failures = 0") == 6)


def test_after_a_restart_the_connections_of_its_own_come_before_those_of_jobs(
    small_postgres: EmbeddedPostgres, storage: Storage, state_folder: Path, children: list[ChildProcess]
) -> None:
    role = Role(small_postgres.url)
    role.limit(OWN_CONNECTIONS)
    settings = {"DATABASE_URL": role.url(small_postgres.url), "DATA_DIR": state_folder, "WORKER_CONCURRENCY": 4}
    worker = WorkerProcess.start(settings)
    children.append(worker)
    small_postgres.stop()
    small_postgres.start()
    with db.connect(small_postgres.url, "dataflow/test") as connection:
        enqueue_file(connection, storage)
        eventually(lambda: len(sessions(connection)) == OWN_CONNECTIONS)
        assert count(connection, "jobs WHERE state = 'queued'") == 1
        role.limit(OWN_CONNECTIONS + 1)
        eventually(lambda: count(connection, "jobs WHERE state = 'queued'") == 0)
    worker.stop()
    role.drop()
