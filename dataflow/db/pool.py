"""The connections of one web process: a bounded number, shared by its requests, there again as soon as the server is.

A request that finds none free starts an attempt, whatever failed before; only a server that is full is given a rest.

Why it is so: psycopg_pool doubles the pauses between its attempts up to minutes, lets a request wait out its time when
the server refuses, and sleeps a second for each stale connection (2 of 20 requests failed after a restart). A new
connection for each request takes 18 ms.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass

from dataflow.db.connection import answers, connect, translated
from dataflow.db.session import Connection
from dataflow.db.waiting import deadline
from dataflow.errors import DatabaseError, DatabaseUnavailable, StatementCancelled, TooManyConnections

#: Requests hold a connection for milliseconds, never while a body is read.
POOL_CONNECTIONS = 8
POOL_TIMEOUT_SECONDS = 3.0
#: A request's statements are given up after this long, and waiting for a row that is locked sooner.
REQUEST_SECONDS, REQUEST_LOCK_SECONDS = 10.0, 3.0
#: A server that is silent is given up this much later.
SILENCE_SECONDS = 2.0
#: While an attempt hangs, the next begins this much later: what has hung for so long may hang for good.
NEXT_ATTEMPT_SECONDS = 0.5
#: After a failed attempt; the second, after one that a full server refused, while other connections serve.
PAUSE_SECONDS, FULL_PAUSE_SECONDS = 0.1, 5.0
#: When all have been in use for this long, one more shows whether the server hangs.
HANGING_SECONDS = 1.0
#: A proxy may want to move a connection of this age.
MAX_IDLE_SECONDS, MAX_AGE_SECONDS = 600.0, 3600.0


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    role: str

    def connect(self) -> Connection:
        return connect(self.url, self.role)

    def answers(self, connection: Connection) -> bool | None:
        return answers(connection)

    def is_starting(self, error: DatabaseError) -> bool:
        # Of SQLSTATE 57P03 libpq passes on only the text; in another language the request is refused.
        return "the database system is " in str(error.__cause__)


@dataclass(slots=True, eq=False)
class _Pooled:
    connection: Connection
    made_at: float  #: by the pool's clock
    since: float  #: when it was given out or taken back


class Pool:
    """At most `size` connections, and one more while all of those hang; `clock` counts seconds."""

    def __init__(
        self, server: Server, size: int, timeout_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._server = server
        self._size, self._timeout_seconds, self._clock = size, timeout_seconds, clock
        self._changed = threading.Condition()
        self._idle: deque[_Pooled] = deque()  #: those used last are on the right
        self._in_use: set[_Pooled] = set()
        self._attempts: dict[int, float] = {}  #: those under way: number and beginning
        self._attempt_count = 0
        self._failed: tuple[int, DatabaseError] | None = None  #: the latest that failed for good, and how
        self._failed_at = float("-inf")
        self._full: TooManyConnections | None = None  #: why there are no more, when the latest attempt was refused so
        self._is_closed = False

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """:raises DatabaseError: soon when the server refuses, else when no connection answers within the time."""
        ends_at = self._clock() + self._timeout_seconds
        while True:
            pooled = self._take(ends_at)
            try:
                is_answering = self._server.answers(pooled.connection)
                if is_answering:
                    yield pooled.connection
                    return
                pooled.connection.close()
            finally:
                self._give_back(pooled)
            if is_answering is None:  # the others are silent, too, being on the same network
                with self._changed:
                    self._close_idle()

    def close(self) -> None:
        """Close idle connections now, and the others after their use."""
        with self._changed:
            self._is_closed = True
            self._close_idle()

    def _take(self, ends_at: float) -> _Pooled:
        with self._changed:
            attempts_before = self._attempt_count
            while not self._idle:
                self._check_hope(attempts_before, ends_at)
                self._attempt_if_due()
                self._changed.wait(PAUSE_SECONDS)
            pooled = self._idle.pop()
            pooled.since = self._clock()
            self._in_use.add(pooled)
            return pooled

    def _check_hope(self, attempts_before: int, ends_at: float) -> None:
        full = self._full_beside_ours()
        if self._failed and self._failed[0] > attempts_before and self._all_hang() and not full:
            error = self._failed[1]
        elif self._clock() >= ends_at:
            error = full or DatabaseUnavailable(f"No database connection within {self._timeout_seconds:g} s.")
        else:
            return
        raise copy(error) from error.__cause__

    def _full_beside_ours(self) -> TooManyConnections | None:
        return self._full if self._in_use else None

    def _attempt_if_due(self) -> None:
        now = self._clock()
        one_has_begun = any(now - began < NEXT_ATTEMPT_SECONDS for began in self._attempts.values())
        pause_seconds = FULL_PAUSE_SECONDS if self._full_beside_ours() else PAUSE_SECONDS
        if one_has_begun or now < self._failed_at + pause_seconds or not self._has_room():
            return
        number = self._attempt_count + 1
        threading.Thread(target=self._attempt, args=[number], name="connect", daemon=True).start()
        self._attempts[number], self._attempt_count = now, number

    def _has_room(self) -> bool:
        # An attempt takes no room, as it may hang; if none is left when it ends, its connection is closed.
        return len(self._in_use) + len(self._idle) < self._size + self._all_hang()

    def _all_hang(self) -> bool:
        return all(self._clock() - pooled.since >= HANGING_SECONDS for pooled in self._in_use)

    def _attempt(self, number: int) -> None:
        try:
            made = self._server.connect()
        except DatabaseError as error:
            self._end_attempt(number, error)
        except BaseException:
            self._end_attempt(number, DatabaseError("Connecting to the database failed."))
            raise
        else:
            self._end_attempt(number, made)

    def _end_attempt(self, number: int, outcome: Connection | DatabaseError) -> None:
        with self._changed:
            del self._attempts[number]
            now = self._clock()
            self._full = outcome if isinstance(outcome, TooManyConnections) else None
            if isinstance(outcome, DatabaseError):
                self._failed_at = now
                is_latest = self._failed is None or number > self._failed[0]
                if is_latest and not self._server.is_starting(outcome):
                    self._failed = number, outcome
            elif self._has_room() and not self._is_closed:
                self._idle.append(_Pooled(outcome, now, now))
            else:
                outcome.close()
            self._changed.notify_all()

    def _give_back(self, pooled: _Pooled) -> None:
        with self._changed:
            now = pooled.since = self._clock()
            self._in_use.remove(pooled)
            is_wanted = len(self._in_use) + len(self._idle) < self._size and not self._is_closed
            # A full server would give the place of a closed connection to somebody else.
            is_fit = now - pooled.made_at < MAX_AGE_SECONDS or self._full
            if is_wanted and is_fit and not pooled.connection.closed:
                self._idle.append(pooled)
            else:
                pooled.connection.close()
            while self._idle and now - self._idle[0].since >= MAX_IDLE_SECONDS:
                self._idle.popleft().connection.close()
            self._changed.notify()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().connection.close()


def open_pool(url: str, role: str) -> Pool:
    return Pool(Server(url, role), POOL_CONNECTIONS, POOL_TIMEOUT_SECONDS)


@contextmanager
def borrowed(pool: Pool) -> Iterator[Connection]:
    """A pooled connection for one or two statements, in a transaction that commits at the end.

    :raises DatabaseUnavailable: when there is none in time, it breaks, or a statement takes too long.
    """
    try:
        with (
            translated(),
            pool.connection() as connection,
            deadline(connection, silence_seconds := REQUEST_SECONDS + SILENCE_SECONDS),
            connection.transaction(),
        ):
            connection.limit_statements(REQUEST_SECONDS, REQUEST_LOCK_SECONDS, silence_seconds)
            yield connection
    except StatementCancelled as error:
        raise DatabaseUnavailable(f"The database took longer than {REQUEST_SECONDS:g} s.") from error


@contextmanager
def borrowed_once(pool: Pool, seconds: float = REQUEST_SECONDS) -> Iterator[Connection]:
    """A pooled connection for one statement that commits by itself, which takes a third of the round trips.

    :raises DatabaseUnavailable: when there is none in time, it breaks, or the statement takes longer than `seconds`.
    """
    with translated(), pool.connection() as connection, deadline(connection, seconds):
        yield connection
