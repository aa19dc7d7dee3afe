"""Connections whose thread waits for the server until a deadline at most, or until another thread cuts them.

Why it is so: a network that swallows what it acknowledges, and a server process that is stopped, meet no time-out of
Postgres or TCP. psycopg waits for everything but connecting in `Connection.wait`, and wakes up there every 0.1 s. The
connection is closed before the error is raised, because ROLLBACK could not be sent behind an unanswered statement. Only
its own thread closes it: to any other thread, the descriptor may already be that of another connection.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.rows import DictRow

_GIVEN_UP = "the connection was given up: no answer in time, or nobody waits for one any more"


class WatchedConnection(psycopg.Connection[DictRow]):
    is_cut = False
    ends_at = math.inf  #: by the monotonic clock

    def wait(self, gen: PQGen[RV], *args: Any, **options: Any) -> RV:
        """:raises psycopg.OperationalError: when the time is over; the connection is closed then."""
        return super().wait(self._watched(gen), *args, **options)

    def _close_if_over(self) -> bool:
        if not self.is_cut and time.monotonic() < self.ends_at:
            return False
        self.pgconn.finish()
        return True

    def _watched(self, gen: PQGen[RV]) -> PQGen[RV]:
        if self._close_if_over():
            raise psycopg.OperationalError(_GIVEN_UP)
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if self._close_if_over():
                    # Raised in there, where psycopg keeps the error of ROLLBACK from replacing the one before it.
                    gen.throw(psycopg.OperationalError(_GIVEN_UP))
                wanted = gen.send(ready)
        except StopIteration as end:
            result: RV = end.value
            return result


def cut(connection: WatchedConnection) -> None:
    """Have the thread that uses the connection get an error when it waits next; callable from any thread.

    A thread that hangs elsewhere keeps its transaction open, until it waits here again or the process ends.
    """
    connection.is_cut = True


@contextmanager
def deadline(connection: WatchedConnection, seconds: float) -> Iterator[None]:
    """Have the block get an error when it waits for the server `seconds` from now."""
    before = connection.ends_at
    connection.ends_at = min(before, time.monotonic() + seconds)
    try:
        yield
    finally:
        connection.ends_at = before
