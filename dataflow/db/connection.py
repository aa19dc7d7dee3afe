"""Postgres: connections and what is done with one.

What the statements mean is left to `queue` and to whoever is handed a connection.
"""

import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg

from dataflow.db import session
from dataflow.db.deadlines import Deadlines
from dataflow.db.failures import translate
from dataflow.db.pool import ConnectionPool
from dataflow.db.statements import query
from dataflow.errors import DatabaseError, DatabaseOutdated, DatabaseUnavailable, StatementCancelled

Connection = session.Connection
Pool = ConnectionPool[Connection]

OLDEST_SERVER = 14
CONNECT_TIMEOUT_SECONDS = 5
#: A pool waits this long for a connection before the request is answered with 503.
POOL_TIMEOUT_SECONDS = 3.0
#: A pooled connection that has not answered by then is replaced while its request waits.
CHECK_SECONDS = 1.0
#: A request's statements are given up after this long; so is, sooner, waiting for a row that somebody holds.
REQUEST_SECONDS, REQUEST_LOCK_SECONDS = 10.0, 3.0
#: A network that swallows what it acknowledges is given up this much later than a statement is by the server.
SILENCE_SECONDS = 2.0
#: Connections a web process may hold, and one more while these hang. Requests hold one for milliseconds, never while a
#: body is read.
POOL_CONNECTIONS = 8
_ARGUMENTS: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    # An ordinary network cut is noticed after about 11 s instead of two hours, an unanswered statement after 10 s.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_DEADLINES = Deadlines()


def value(connection: Connection, name: str, **parameters: object) -> Any:
    """What the statement gives in the first column of its only row; None when it gives no row."""
    row = connection.execute(query(name), parameters).fetchone()
    return next(iter(row.values())) if row else None


def connect(url: str, role: str, **parameters: Any) -> Connection:
    """A connection in autocommit mode whose `application_name` is `role`; the caller closes it.

    Session settings are SET after connecting, because poolers refuse start-up options; see `session` for what of them.

    :raises DatabaseUnavailable: when there is no server, or it refuses.
    :raises DatabaseOutdated: when it is too old.
    """
    with translated():
        connection = Connection.open(url, **{**_ARGUMENTS, "application_name": role, **parameters})
        try:
            _check_version(connection)
            with deadline(connection, CONNECT_TIMEOUT_SECONDS):
                connection.configure()
        except BaseException:
            connection.close()
            raise
    return connection


def _check_version(connection: Connection) -> None:
    """Before the first statement: an old server does not know the settings."""
    major, minor = divmod(connection.info.server_version, 10_000)
    if 0 < major < OLDEST_SERVER:
        raise DatabaseOutdated(f"The server is Postgres {major}.{minor}: DataFlow needs {OLDEST_SERVER} or newer.")


def cut(connection: psycopg.Connection[Any]) -> None:
    """End a connection under a thread that waits in it, which gets an error at once; callable from any thread.

    The server is told as well, as far as the network reaches it. Closing would wait for that thread.
    """
    try:
        descriptor = os.dup(connection.pgconn.socket)
    except (psycopg.OperationalError, OSError):
        return  # broken already
    with socket.socket(fileno=descriptor) as line, suppress(OSError):  # not connected any more
        line.shutdown(socket.SHUT_RDWR)


def answers(connection: Connection) -> bool | None:
    """Whether it is of use: False when it is broken, None when nothing comes back within CHECK_SECONDS."""
    began = time.monotonic()
    try:
        with deadline(connection, CHECK_SECONDS):
            # By a cursor, as behind a pooler it would get a transaction.
            connection.cursor().execute(b"")
    except psycopg.Error:
        return None if time.monotonic() - began >= CHECK_SECONDS else False
    return True


def has_spoken(connection: Connection) -> bool:
    """Whether the server has sent what nobody has read yet; True as well when the connection is closed."""
    return connection.closed or bool(select.select([connection.fileno()], [], [], 0)[0])


def has_ended(connection: Connection) -> bool:
    """Whether one that lay idle is of no more use. It is asked only when it has said something, mostly goodbye."""
    return has_spoken(connection) and not answers(connection)


@dataclass(frozen=True, slots=True)
class _Server:
    """The server of a pool, to which it goes by the name of `role`."""

    url: str
    role: str

    def connect(self) -> Connection:
        return connect(self.url, self.role)

    def answers(self, connection: Connection) -> bool | None:
        return answers(connection)

    def is_starting(self, error: DatabaseError) -> bool:
        # Of SQLSTATE 57P03 libpq passes on nothing but the text; in another language the request is refused.
        return "the database system is " in str(error.__cause__)


def open_pool(url: str, role: str) -> Pool:
    """The connections of one web process, opened on first use (so after gunicorn has forked)."""
    return ConnectionPool(_Server(url, role), POOL_CONNECTIONS, POOL_TIMEOUT_SECONDS)


@contextmanager
def borrowed(pool: Pool) -> Iterator[Connection]:
    """A pooled connection for one or two statements, in a transaction that commits at the end.

    :raises DatabaseUnavailable: when none can be had within POOL_TIMEOUT_SECONDS, it breaks, or a statement takes too
        long; what was changed is then not.
    """
    try:
        with translated(), pool.connection() as connection, _request(connection):
            yield connection
    except StatementCancelled as error:
        raise DatabaseUnavailable(f"The database took longer than {REQUEST_SECONDS:g} s.") from error


@contextmanager
def _request(connection: Connection) -> Iterator[None]:
    with deadline(connection, REQUEST_SECONDS + SILENCE_SECONDS), connection.transaction():
        connection.limit_statements(REQUEST_SECONDS, REQUEST_LOCK_SECONDS)
        yield


@contextmanager
def limited(connection: Connection, seconds: float) -> Iterator[None]:
    """A transaction that ends within about `seconds`, also when a network swallows what it acknowledges.

    :raises psycopg.errors.LockNotAvailable: when somebody else holds what is needed.
    :raises psycopg.OperationalError: when there is no answer; the connection is of no more use.
    """
    with deadline(connection, 2 * seconds), connection.transaction():
        # A lock's time is over first, so that waiting for one is told from being cancelled.
        connection.limit_statements(seconds, 0.8 * seconds)
        yield


def deadline(connection: psycopg.Connection[Any], seconds: float) -> AbstractContextManager[None]:
    """Cut the connection under whatever has not ended by then: no time-out of the server or of TCP sees to that."""
    return _DEADLINES.limit(seconds, partial(cut, connection))


@contextmanager
def translated(passing: str | None = None) -> Iterator[None]:
    """Turn what psycopg raises inside into our errors, once; the SQLSTATE `passing` is one that passes here."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, passing) from error
