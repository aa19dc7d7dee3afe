"""Behind a transaction pooler: whole imports, and nothing of ours in the sessions that it lends to others."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import psycopg
import pytest
from psycopg.rows import tuple_row

from dataflow import db
from dataflow.errors import DatabaseUnavailable
from dataflow.queue import live_workers
from dataflow.worker.recovery import Recovery
from tests.support.poolers import TransactionPooler, no_pgbouncer, pgbouncer
from tests.support.processes import Web, WorkerProcess
from tests.support.waiting import eventually

POOL_SIZE = 2
CSV = {"headers": {"Content-Type": "text/csv", "X-Source": "s"}}
GOOD = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\n"
BAD = b"name,email\nAnn,ann@example.com\nBob,nobody\n"
#: But for the name, which poolers pass on when they lend a session, and those of languages, which come with their use.
SETTINGS = "SELECT name, setting FROM pg_settings WHERE name <> 'application_name' AND name NOT LIKE '%.%'"
STATE = """
SELECT 'listens', channel FROM pg_listening_channels() channel
UNION ALL SELECT 'prepared', name FROM pg_prepared_statements
UNION ALL SELECT 'cursor', name FROM pg_cursors WHERE name <> ''
UNION ALL SELECT 'lock', objid::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
UNION ALL SELECT 'temporary', relname FROM pg_class WHERE pg_table_is_visible(oid) AND relpersistence = 't'
"""


@pytest.fixture(scope="module", params=["of our own", "PgBouncer"])
def pooled_url(
    request: pytest.FixtureRequest, module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """URL of the module's database behind a pooler with POOL_SIZE server connections."""
    with ExitStack() as stack:
        if request.param == "PgBouncer":
            if reason := no_pgbouncer():
                pytest.skip(reason)
            folder = tmp_path_factory.mktemp("pgbouncer")
            yield stack.enter_context(pgbouncer(module_database, folder, POOL_SIZE))
        else:
            yield stack.enter_context(TransactionPooler(module_database, POOL_SIZE)).url


@pytest.fixture
def pooled(pooled_url: str, database: str) -> Iterator[db.Connection]:
    """A connection of ours through the pooler to a freshly migrated database."""
    with db.connect(pooled_url, "dataflow/test") as opened:
        yield opened


def settings(session: psycopg.Connection[Any]) -> dict[str, str]:
    return dict(session.cursor(row_factory=tuple_row).execute(SETTINGS).fetchall())


def left_behind(pooled_url: str, database: str) -> list[Any]:
    """What another client finds in each of the pooler's sessions that a new one has not."""
    with psycopg.connect(database) as fresh:
        usual = settings(fresh)
    found: list[Any] = []
    with ExitStack() as stack:
        others = [stack.enter_context(psycopg.connect(pooled_url)) for _ in range(POOL_SIZE)]
        # Each is in a transaction, so that no two have the same session.
        assert len({other.execute("SELECT pg_backend_pid()").fetchone() for other in others}) == POOL_SIZE
        for other in others:
            found += [item for item in settings(other).items() if item not in usual.items()]
            found += other.execute(STATE).fetchall()
    return found


def test_a_pooler_is_known_by_the_process_id_that_it_makes_up(pooled: db.Connection, connection: db.Connection) -> None:
    assert (pooled.is_pooled, connection.is_pooled) == (True, False)


def test_a_pooler_that_gives_no_process_id_is_known_for_one(server: str) -> None:
    with (
        TransactionPooler(server, POOL_SIZE, process_id=0) as pooler,
        db.connect(pooler.url, "dataflow/test") as session,
    ):
        assert session.is_pooled


def test_nothing_of_whole_imports_stays_in_the_poolers_sessions_and_health_knows_their_worker(
    pooled_url: str,
    database: str,
    connection: db.Connection,
    start_web: Callable[..., Web],
    start_worker: Callable[..., WorkerProcess],
) -> None:
    variables = {"DATABASE_URL": pooled_url, "WORKER_CONCURRENCY": 2, "WORKER_POLL_INTERVAL": 50}
    web = start_web(**variables)
    assert web.get("/health").json()["status"] == "degraded"
    worker = start_worker(**variables)
    health = web.get("/health").json()
    assert (health["status"], health["checks"]["worker"]) == ("healthy", {"status": "ok", "live": 1})

    def end(answer: Any) -> str:
        state: str = web.finished_job(answer.json()["jobId"])["state"]
        return state

    first = web.post(data=GOOD, **CSV)
    assert end(first) == "succeeded"
    for path in ("/import?onConflict=update", "/import?onConflict=skip", "/import?dryRun=true"):
        assert end(web.post(path, data=BAD, **CSV)) == "succeeded"
    assert end(web.post("/import?onInvalid=abort", data=BAD, **CSV)) == "failed"
    assert end(web.post(f"/jobs/{first.json()['jobId']}/revert")) == "succeeded"
    assert left_behind(pooled_url, database) == []
    assert connection.execute("SELECT backend_pid FROM jobs WHERE backend_pid IS NOT NULL").fetchall() == []

    worker.stop()
    assert web.get("/health").json()["status"] == "degraded"
    assert connection.execute("SELECT FROM worker_beats").fetchall() == []
    assert left_behind(pooled_url, database) == []


def test_a_job_of_a_worker_that_was_killed_is_taken_over_by_its_lease(
    pooled_url: str,
    database: str,
    connection: db.Connection,
    web: Web,
    start_worker: Callable[..., WorkerProcess],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dataflow.queue.leases.LEASE_SECONDS", 0.5)
    monkeypatch.setattr("dataflow.worker.heartbeat.INTERVAL_SECONDS", 0.1)
    worker = start_worker(DATABASE_URL=pooled_url, WORKER_POLL_INTERVAL=50)

    def state() -> str:
        [job] = connection.execute("SELECT state FROM jobs").fetchall()
        return str(job["state"])

    with psycopg.connect(database) as somebody:
        somebody.execute("LOCK TABLE contacts")
        job_id = web.post(data=GOOD, **CSV).json()["jobId"]
        eventually(lambda: state() == "running")
        worker.kill()
    recovery = Recovery(pooled_url, "dataflow/rescuer/recover", "rescuer", 0.0)
    with closing(recovery.connection):

        def is_taken() -> bool:
            recovery.look([], is_direct=False)
            return state() == "queued"

        eventually(is_taken)
    assert live_workers.count(connection) == 1, "it was seen just now"
    connection.execute("UPDATE worker_beats SET seen_at = seen_at - interval '16 s'")
    assert web.get("/health").json()["status"] == "degraded"
    start_worker(DATABASE_URL=pooled_url)
    assert web.finished_job(job_id)["rowsImported"] == 2
    assert left_behind(pooled_url, database) == []


def test_limits_hold_within_a_transaction_and_not_after_it(
    pooled_url: str, pooled: db.Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow.db.pool.REQUEST_SECONDS", 0.2)
    with (
        closing(db.open_pool(pooled_url, "dataflow/web")) as pool,
        pytest.raises(DatabaseUnavailable, match=r"longer than 0\.2 s"),
        db.borrowed(pool) as borrowed,
    ):
        borrowed.execute("SELECT pg_sleep(10)")
    with psycopg.connect(database) as somebody:
        somebody.execute("LOCK TABLE contacts")
        with pytest.raises(psycopg.errors.LockNotAvailable), db.limited(pooled, 0.2):
            pooled.execute("SELECT count(*) FROM contacts")
    assert left_behind(pooled_url, database) == []


def test_a_statement_outside_a_transaction_finds_our_settings_all_the_same(
    pooled: db.Connection, pooled_url: str
) -> None:
    single = pooled.execute("SHOW client_min_messages").fetchone()
    with psycopg.connect(pooled_url) as other:
        assert (single, other.execute("SHOW client_min_messages").fetchone()) == (
            {"client_min_messages": "error"},
            ("notice",),
        )


def test_limits_of_a_session_are_those_of_the_transaction_where_the_session_is_not_ours(
    pooled: db.Connection, pooled_url: str, database: str
) -> None:
    with pooled.transaction():
        pooled.limit_statements(7, 5, in_session=True)
        assert pooled.execute("SHOW statement_timeout").fetchone() == {"statement_timeout": "7s"}
    assert left_behind(pooled_url, database) == []
