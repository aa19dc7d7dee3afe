"""Connections and what is done with one."""

import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from dataflow.db import session
from dataflow.db.failures import translate
from dataflow.db.statements import query
from dataflow.db.waiting import deadline
from dataflow.errors import DatabaseError

Connection = session.Connection

OLDEST_SERVER = 14
CONNECT_TIMEOUT_SECONDS = 5
CHECK_SECONDS = 1.0
#: Several blocks of a COPY, so that the server has rows to read while the next are made: 5 to 9 % of an import.
SEND_BUFFER_BYTES = 1024 * 1024
_ARGUMENTS: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    # An ordinary network cut is noticed after about 11 s instead of two hours, an unanswered statement after 10 s.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def value(connection: Connection, name: str, **parameters: object) -> Any:
    """The first column of the statement's only row; None when there is no row."""
    row = connection.execute(query(name), parameters).fetchone()
    return next(iter(row.values())) if row else None


def connect(url: str, role: str, **parameters: Any) -> Connection:
    """A connection in autocommit mode whose `application_name` is `role`; the caller closes it.

    :raises DatabaseUnavailable: when there is no server, or it refuses.
    :raises DatabaseError: database_outdated when it is too old.
    """
    with translated():
        connection = Connection.open(url, **{**_ARGUMENTS, "application_name": role, **parameters})
        try:
            _check_version(connection)  # before the first statement: an old server does not know the settings
            with deadline(connection, CONNECT_TIMEOUT_SECONDS):
                connection.configure()  # only now: poolers refuse start-up options
        except BaseException:
            connection.close()
            raise
    return connection


def _check_version(connection: Connection) -> None:
    major, minor = divmod(connection.info.server_version, 10_000)
    if 0 < major < OLDEST_SERVER:
        raise DatabaseError(
            f"The server is Postgres {major}.{minor}: DataFlow needs {OLDEST_SERVER} or newer.",
            code="database_outdated",
        )


def widen_send_buffer(connection: Connection) -> None:
    """Let the kernel hold more of what is sent over a Unix socket, as far as it allows; over TCP it does by itself."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        if line.family == socket.AF_UNIX:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


def answers(connection: Connection) -> bool | None:
    """Whether the connection is of use: False when it is broken, None when it is silent for CHECK_SECONDS."""
    began = time.monotonic()
    try:
        with deadline(connection, CHECK_SECONDS):
            # `Connection.execute` would begin a transaction behind a pooler.
            connection.cursor().execute(b"")
    except psycopg.Error:
        return None if time.monotonic() - began >= CHECK_SECONDS else False
    return True


def has_spoken(connection: Connection) -> bool:
    """Whether something has come that nobody has read yet, or the connection is closed."""
    return connection.closed or bool(select.select([connection.fileno()], [], [], 0)[0])


def wait_to_send(connection: Connection, check: Callable[[], None]) -> bool:
    """Wait until the server takes more; False when it has said something instead, or the connection is closed.

    To be asked before each write of a COPY. A send that would block has libpq read what the server says meanwhile,
    which then shows neither at the socket nor in libpq before the end of the COPY. `check` is called every second.
    """
    while not has_spoken(connection):
        if select.select([connection.fileno()], [connection.fileno()], [], 1.0)[1]:
            return not has_spoken(connection)
        check()
    return False


def has_ended(connection: Connection) -> bool:
    return has_spoken(connection) and not answers(connection)


@contextmanager
def limited(connection: Connection, seconds: float) -> Iterator[None]:
    """A transaction that ends within about `seconds`; twice as many when the server or this process is silent.

    :raises psycopg.OperationalError: when there is no answer; LockNotAvailable when somebody else holds a lock.
    """
    with deadline(connection, 2 * seconds), connection.transaction():
        # The time for a lock is over first, so that waiting for one is told from being cancelled.
        connection.limit_statements(seconds, 0.8 * seconds, 2 * seconds)
        yield


@contextmanager
def translated(passing: str | None = None) -> Iterator[None]:
    """Turn what psycopg raises inside into our errors; the SQLSTATE `passing` is worth another attempt here."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, passing) from error
