"""GET /health over real HTTP, with a real worker, a dead Postgres, one that hangs, and a storage that is broken."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from dataflow import db
from dataflow.db.pool import NEXT_ATTEMPT_SECONDS
from tests.support.databases import on_server
from tests.support.processes import Web, WorkerProcess, free_port
from tests.support.waiting import eventually

DEADLINE_SECONDS = 2.0


def test_without_a_worker_the_service_is_degraded_but_stays_in_rotation(web: Web) -> None:
    answer = web.get("/health")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "degraded")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["timestamp"])
    assert {name: check["status"] for name, check in body["checks"].items()} == {
        "database": "ok",
        "storage": "ok",
        "worker": "none",
    }
    assert "error" not in body


def test_health_follows_the_workers_as_they_come_and_go(web: Web, start_worker: Callable[..., WorkerProcess]) -> None:
    workers = [start_worker(), start_worker()]
    body = web.get("/health").json()
    assert (body["status"], body["checks"]["worker"]) == ("healthy", {"status": "ok", "live": 2})
    workers[0].stop()
    eventually(lambda: web.get("/health").json()["checks"]["worker"]["live"] == 1)
    assert web.get("/health").json()["status"] == "healthy"
    workers[1].kill()
    eventually(lambda: web.get("/health").json()["status"] == "degraded")


def test_without_postgres_the_service_is_unhealthy_and_names_it(start_web: Callable[..., Web]) -> None:
    web = start_web(DATABASE_URL=f"postgresql://somebody:hush@127.0.0.1:{free_port()}/none")
    answer = web.get("/health")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (503, "unhealthy")
    assert body["timestamp"]
    assert body["error"].startswith("database: ")
    assert {name: check["status"] for name, check in body["checks"].items()} == {
        "database": "failed",
        "storage": "ok",
        "worker": "unknown",
    }
    assert "hush" not in answer.text


def test_a_storage_that_cannot_be_written_makes_the_service_unhealthy(
    start_web: Callable[..., Web], tmp_path: Path
) -> None:
    # A file in place of the directory stops root as well.
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "objects").write_text("in the way")
    answer = start_web(DATA_DIR=tmp_path / "state").get("/health")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (503, "unhealthy")
    assert body["error"].startswith("storage: ")
    assert (body["checks"]["storage"]["status"], body["checks"]["database"]["status"]) == ("failed", "ok")


@pytest.fixture
def hanging_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URLs of servers that accept connections and never say a word, over TCP and over a Unix socket."""
    folder = tmp_path_factory.mktemp("hang")
    with socket.socket(socket.AF_INET) as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        unix.bind(str(folder / ".s.PGSQL.5432"))
        for listener in (tcp, unix):
            # The backlog alone accepts: nobody ever calls accept().
            listener.listen(100)
        user = "postgresql://postgres@"
        yield f"{user}127.0.0.1:{tcp.getsockname()[1]}/none", f"{user}/none?host={folder}"


def timed_health(web: Web) -> tuple[float, int, dict[str, Any]]:
    began = time.monotonic()
    answer = web.get("/health")
    return time.monotonic() - began, answer.status_code, answer.json()


def test_health_answers_in_time_while_postgres_hangs_and_piles_up_no_threads(
    hanging_postgres: tuple[str, str], start_web: Callable[..., Web]
) -> None:
    # Side by side, because nearly all of it is waiting.
    with ThreadPoolExecutor(48) as pool:
        webs = list(pool.map(lambda url: start_web(DATABASE_URL=url), hanging_postgres))
        processes = [psutil.Process(web.process.pid).children()[0] for web in webs]
        threads = []
        for _ in range(2):
            for seconds, status, body in pool.map(timed_health, webs * 24):
                assert seconds < DEADLINE_SECONDS
                assert (status, body["status"]) == (503, "unhealthy")
                assert body["checks"]["database"]["status"] == "failed"
                # One that hangs must not put the blame on the others.
                assert body["checks"]["storage"] == {"status": "ok"}
            threads.append([process.num_threads() for process in processes])
    for before, after in zip(*threads, strict=True):
        # Those that try to connect: one begins each half second, and gives up after five.
        assert after <= before + db.CONNECT_TIMEOUT_SECONDS / NEXT_ATTEMPT_SECONDS


def test_health_recovers_with_postgres(web: Web, server: str, connection: db.Connection) -> None:
    name = connection.info.dbname
    on_server(server, "ALTER DATABASE {name} ALLOW_CONNECTIONS false", name)
    # As long as those that are there work, so does the service.
    assert web.get("/health").status_code == 200
    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dataflow/web'")
    assert web.get("/health").status_code == 503
    on_server(server, "ALTER DATABASE {name} ALLOW_CONNECTIONS true", name)
    assert web.get("/health").status_code == 200


def test_a_database_that_takes_no_changes_is_unhealthy_as_it_takes_no_import(
    web: Web, server: str, connection: db.Connection
) -> None:
    name = connection.info.dbname
    end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dataflow/web'"
    on_server(server, "ALTER DATABASE {name} SET default_transaction_read_only = on", name)
    connection.execute(end_sessions)
    body = {"source": "crm", "data": [{"name": "Ann", "email": "ann@example.com"}]}
    assert web.post(json=body).status_code == 503
    answer = web.get("/health")
    assert (answer.status_code, answer.json()["checks"]["database"]["status"]) == (503, "failed")
    on_server(server, "ALTER DATABASE {name} RESET default_transaction_read_only", name)
    connection.execute(end_sessions)
    assert web.get("/health").status_code == 200
    assert web.post(json=body).status_code == 200
