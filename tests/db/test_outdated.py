"""A server or a schema that is too old: said by every process, with what to do."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dataflow import db
from dataflow.errors import DatabaseError
from tests.support.acceptor import Acceptor
from tests.support.commands import dataflow
from tests.support.errors import has_code
from tests.support.processes import Web, WorkerProcess
from tests.support.waiting import eventually

NEEDED = "The server is Postgres 13.22: DataFlow needs 14 or newer."


def message(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("!i", len(content) + 4) + content


WELCOME = (
    message(b"R", struct.pack("!i", 0))
    + message(b"S", b"server_version\x0013.22 (Debian)\0")
    + message(b"S", b"client_encoding\x00UTF8\0")
    + message(b"K", struct.pack("!ii", 1, 1))
    + message(b"Z", b"I")
)


def _serve(client: socket.socket) -> None:
    with client, suppress(OSError):
        if client.recv(8)[4:] == struct.pack("!i", 80877103):  # SSLRequest
            client.sendall(b"N")
        client.recv(4096)
        client.sendall(WELCOME)
        while client.recv(4096):
            pass


@pytest.fixture(scope="module")
def thirteen() -> Iterator[str]:
    """URL of a server that greets as a Postgres 13 does and answers nothing."""
    with Acceptor(_serve) as acceptor:
        yield f"postgresql://somebody@127.0.0.1:{acceptor.port}/app?sslmode=disable&gssencmode=disable"


def test_an_old_server_is_refused_before_the_first_statement(thirteen: str) -> None:
    with pytest.raises(DatabaseError, check=has_code("database_outdated")) as refused:
        db.connect(thirteen, "dataflow/test")
    assert refused.value.message == NEEDED


def test_commands_say_which_server_is_needed(thirteen: str, tmp_path: Path) -> None:
    for command in (("migrate",), ("worker", "--once")):
        done = dataflow(*command, DATABASE_URL=thirteen, DATA_DIR=tmp_path)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == f"dataflow: {NEEDED}"


def test_web_and_worker_say_which_server_is_needed(
    thirteen: str, start_web: Callable[..., Web], children: list[WorkerProcess], tmp_path: Path
) -> None:
    web = start_web(DATABASE_URL=thirteen)
    assert web.get("/health").json()["error"] == f"database: {NEEDED}"
    answer = web.get("/jobs")
    assert (answer.status_code, answer.json()["code"], answer.json()["error"]) == (503, "database_outdated", NEEDED)
    worker = WorkerProcess({"DATABASE_URL": thirteen, "DATA_DIR": tmp_path})
    children.append(worker)
    eventually(lambda: NEEDED in worker.log())


def test_health_names_the_command_when_migrations_are_missing(
    web: Web, connection: db.Connection, children: list[WorkerProcess], database: str, tmp_path: Path
) -> None:
    def complaint() -> str:
        answer = web.get("/health")
        assert answer.status_code == 503
        return str(answer.json()["error"])

    connection.execute("INSERT INTO dataflow_migrations (version, name) VALUES (9999, 'of a newer version')")
    assert web.get("/health").status_code == 200
    newest = connection.execute("SELECT max(version) FROM dataflow_migrations WHERE version < 9999").fetchone()
    connection.execute("DELETE FROM dataflow_migrations WHERE version = %s", list((newest or {}).values()))
    assert "in all 1): run `dataflow migrate`" in complaint()
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert complaint().startswith("database: The database lacks migration 0001_contacts (in all ")
    worker = WorkerProcess({"DATABASE_URL": database, "DATA_DIR": tmp_path})
    children.append(worker)
    eventually(lambda: "lacks migration 0001_contacts" in worker.log())
    db.migrate(database)
    assert web.get("/health").status_code == 200
    eventually(lambda: "worker ready" in worker.log())


def test_every_process_names_both_migrations_when_another_version_has_made_the_database(
    web: Web, connection: db.Connection, children: list[WorkerProcess], database: str, tmp_path: Path
) -> None:
    difference = "The database has migration 0002_jobs where this program has 0002_database_id: "
    connection.execute("UPDATE dataflow_migrations SET name = '0002_jobs' WHERE version = 2")
    answer = web.get("/health")
    assert answer.status_code == 503
    assert answer.json()["error"].startswith(f"database: {difference}")
    migrate = dataflow("migrate", DATABASE_URL=database, DATA_DIR=tmp_path)
    assert (migrate.returncode, migrate.stdout) == (1, "")
    assert migrate.stderr.splitlines()[-1].startswith(f"dataflow: {difference}")
    worker = WorkerProcess({"DATABASE_URL": database, "DATA_DIR": tmp_path})
    children.append(worker)
    eventually(lambda: difference in worker.log())
    connection.execute("UPDATE dataflow_migrations SET name = '0002_database_id' WHERE version = 2")
    assert web.get("/health").status_code == 200
    eventually(lambda: "worker ready" in worker.log())
