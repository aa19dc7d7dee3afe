"""Connections whose thread waits for the server no longer than until a deadline, or until another thread cuts them.

Connecting is not covered; it has a time-out of libpq's.

Why it is so:

- Postgres and TCP have time-outs of their own, but a network that acknowledges what it swallows, and a server process
  that is stopped, meet none of them.
- psycopg waits in `Connection.wait` for everything: statements, COPY in both directions, notifications, the ends of
  transactions. It wakes up every 0.1 s when nothing comes. Looking costs about 7 us a wait.
- The connection is closed before anything is raised: ROLLBACK could not be sent behind a statement without an answer.
- Nobody else may close it: its descriptor could be another connection's by the time the thread waits for it again.
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
        """As psycopg's.

        :raises psycopg.OperationalError: when the time is over; the connection is closed then.
        """
        return super().wait(self._watched(gen), *args, **options)

    def close_if_over(self) -> bool:
        """Whether nothing more may be sent or waited for; only for the thread that uses the connection."""
        if not self.is_cut and time.monotonic() < self.ends_at:
            return False
        self.pgconn.finish()
        return True

    def _watched(self, gen: PQGen[RV]) -> PQGen[RV]:
        if self.close_if_over():
            raise psycopg.OperationalError(_GIVEN_UP)
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if self.close_if_over():
                    # Inside, because a ROLLBACK that fails lets the error pass that it is there for.
                    gen.throw(psycopg.OperationalError(_GIVEN_UP))
                wanted = gen.send(ready)
        except StopIteration as end:
            result: RV = end.value
            return result


def cut(connection: WatchedConnection) -> None:
    """Have the thread that uses the connection get an error within 0.1 s of waiting; callable from any thread."""
    connection.is_cut = True


@contextmanager
def deadline(connection: WatchedConnection, seconds: float) -> Iterator[None]:
    """Have waiting for the server end with an error `seconds` from now, within the block."""
    before = connection.ends_at
    connection.ends_at = min(before, time.monotonic() + seconds)
    try:
        yield
    finally:
        connection.ends_at = before
