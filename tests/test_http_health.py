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
from tests.conftest import on_server
from tests.processes import Web, WorkerProcess, eventually, free_port

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
    answer = start_web().get("/health")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (503, "unhealthy")
    assert body["error"].startswith("storage: ")
    assert (body["checks"]["storage"]["status"], body["checks"]["database"]["status"]) == ("failed", "ok")


@pytest.fixture(params=["TCP", "Unix socket"])
def hanging_postgres(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server that accepts connections and never says a word."""
    folder = tmp_path_factory.mktemp("hang")
    is_unix = request.param == "Unix socket"
    with socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET) as listener:
        listener.bind(str(folder / ".s.PGSQL.5432") if is_unix else ("127.0.0.1", 0))
        # The backlog alone accepts: nobody ever calls accept().
        listener.listen(100)
        where = f"/none?host={folder}" if is_unix else f"127.0.0.1:{listener.getsockname()[1]}/none"
        yield f"postgresql://postgres@{where}"


def timed_health(web: Web) -> tuple[float, int, dict[str, Any]]:
    began = time.monotonic()
    answer = web.get("/health")
    return time.monotonic() - began, answer.status_code, answer.json()


def test_health_answers_in_time_while_postgres_hangs_and_piles_up_no_threads(
    hanging_postgres: str, start_web: Callable[..., Web]
) -> None:
    web = start_web(DATABASE_URL=hanging_postgres)
    [process] = psutil.Process(web.process.pid).children()
    threads = []
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            for seconds, status, body in pool.map(lambda _: timed_health(web), range(8)):
                assert seconds < DEADLINE_SECONDS
                assert (status, body["status"]) == (503, "unhealthy")
                assert body["checks"]["database"]["status"] == "failed"
                # One that hangs must not put the blame on the others.
                assert body["checks"]["storage"] == {"status": "ok"}
            threads.append(process.num_threads())
    assert threads[1] <= threads[0] + 1


def test_health_recovers_with_postgres(web: Web, server: str, connection: db.Connection) -> None:
    name = connection.info.dbname
    on_server(server, "ALTER DATABASE {name} ALLOW_CONNECTIONS false", name)
    assert web.get("/health").status_code == 503
    on_server(server, "ALTER DATABASE {name} ALLOW_CONNECTIONS true", name)
    assert web.get("/health").status_code == 200
