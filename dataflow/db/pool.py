"""The connections of one web process: a bounded number, shared by its requests, there again as soon as the server is.

Whoever finds none free has one tried, whatever failed before; only a server that is full is given a rest, while
requests share the connections that there are. (psycopg_pool doubles the pauses between its attempts up to minutes, has
a request wait out its time when the server refuses, and sleeps a second for each stale connection.) What a connection
is, how one is made and whether it still answers is left to `db`.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from dataflow.errors import DatabaseError, DatabaseUnavailable, TooManyConnections


class Closable(Protocol):
    """What the pool itself needs of a connection."""

    @property
    def closed(self) -> bool: ...

    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class Server(Protocol[C]):
    """Where connections come from."""

    def connect(self) -> C:
        """A new one; called in a thread of its own, ends by itself.

        :raises DatabaseError: when there is no server, or it refuses.
        """

    def answers(self, connection: C) -> bool | None:
        """Whether one that has lain idle is of use: False when it is broken, None when nothing comes back in time."""

    def is_starting(self, error: DatabaseError) -> bool:
        """Whether what `connect` raised passes in a moment, so that requests wait for it."""


#: While an attempt hangs, the next begins this much later: what has hung for so long may hang for good.
NEXT_ATTEMPT_SECONDS = 0.5
#: After an attempt that failed: a server that is down is not asked a thousand times a second.
PAUSE_SECONDS = 0.1
#: After one that a full server refused, while others serve.
FULL_PAUSE_SECONDS = 5.0
#: When all have been in use for this long they may hang, and one more shows whether the server does.
HANGING_SECONDS = 1.0
#: One that nobody has needed for so long is closed; so is one of this age behind its use: a proxy may want to move it.
MAX_IDLE_SECONDS, MAX_AGE_SECONDS = 600.0, 3600.0


@dataclass(slots=True, eq=False)
class _Pooled(Generic[C]):
    """A connection, and when it was made and given or taken back last, by the pool's clock."""

    connection: C
    made_at: float
    since: float


class ConnectionPool(Generic[C]):
    """At most `size` connections, and one more while all of those hang; `clock` counts seconds."""

    def __init__(
        self, server: Server[C], size: int, timeout_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._server = server
        self._size, self._timeout_seconds, self._clock = size, timeout_seconds, clock
        self._changed = threading.Condition()
        self._idle: deque[_Pooled[C]] = deque()  #: those used last are on the right
        self._in_use: set[_Pooled[C]] = set()
        self._attempts: dict[int, float] = {}  #: those under way: number and beginning
        self._attempt_count = 0
        self._failed: tuple[int, DatabaseError] | None = None  #: the latest that failed for good, and how
        self._failed_at = float("-inf")
        self._full: TooManyConnections | None = None  #: why there are no more, when the latest attempt was refused so
        self._is_closed = False

    @contextmanager
    def connection(self) -> Iterator[C]:
        """A connection that has just answered, for as long as the block runs.

        :raises DatabaseError: soon when the server refuses, else when there is none within the time.
        """
        pooled = self._take_answering()
        try:
            yield pooled.connection
        finally:
            self._give_back(pooled)

    def close(self) -> None:
        """Close those that are idle now, and the others behind their use."""
        with self._changed:
            self._is_closed = True
            self._close_idle()

    def _take_answering(self) -> _Pooled[C]:
        deadline = self._clock() + self._timeout_seconds
        while True:
            pooled = self._take(deadline)
            answers: bool | None = False
            try:
                answers = self._server.answers(pooled.connection)
                if answers:
                    return pooled
            finally:
                if not answers:
                    self._discard(pooled)
            if answers is None:
                # What keeps this one silent does so to its neighbours: they are on the same way.
                with self._changed:
                    self._close_idle()

    def _take(self, deadline: float) -> _Pooled[C]:
        with self._changed:
            attempts_before = self._attempt_count
            while not self._idle:
                self._check_hope(attempts_before, deadline)
                self._attempt_if_due()
                self._changed.wait(PAUSE_SECONDS)
            pooled = self._idle.pop()
            pooled.since = self._clock()
            self._in_use.add(pooled)
            return pooled

    def _check_hope(self, attempts_before: int, deadline: float) -> None:
        """Raise when an attempt has failed that began after the request came, or its time is over."""
        full = self._full_beside_ours()
        if self._failed and self._failed[0] > attempts_before and self._all_hang() and not full:
            error = self._failed[1]
        elif self._clock() >= deadline:
            error = full or DatabaseUnavailable(f"No database connection within {self._timeout_seconds:g} s.")
        else:
            return
        raise copy(error) from error.__cause__

    def _full_beside_ours(self) -> TooManyConnections | None:
        """Why there are no more than those in use, for one of which requests then wait."""
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
        """Whether one more may be there. An attempt that hangs takes no room; what comes of it late finds none."""
        return len(self._in_use) + len(self._idle) < self._size + self._all_hang()

    def _all_hang(self) -> bool:
        """Whether nobody is about to give one back, as far as one can tell."""
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

    def _end_attempt(self, number: int, outcome: C | DatabaseError) -> None:
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

    def _give_back(self, pooled: _Pooled[C]) -> None:
        now = self._clock()
        with self._changed:
            is_wanted = len(self._in_use) + len(self._idle) <= self._size and not self._is_closed
            # What is given up while the server is full, somebody else will have.
            is_fit = now - pooled.made_at < MAX_AGE_SECONDS or self._full
            if is_wanted and is_fit and not pooled.connection.closed:
                pooled.since = now
                self._in_use.remove(pooled)
                self._idle.append(pooled)
                self._changed.notify()
            while self._idle and now - self._idle[0].since >= MAX_IDLE_SECONDS:
                self._idle.popleft().connection.close()
        if pooled in self._in_use:
            self._discard(pooled)

    def _discard(self, pooled: _Pooled[C]) -> None:
        with self._changed:
            self._in_use.remove(pooled)
            self._changed.notify()
        pooled.connection.close()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().connection.close()
