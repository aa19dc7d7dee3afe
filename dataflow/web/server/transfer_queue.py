"""Requests that take as long as their clients like: they have threads of their own, and a queue before them.

Slow clients must not keep fast ones waiting. Whose body has come goes first, and only for it another gives way: were
slow ones cut for slow ones that come again and again, all who have a thread would be too new to be cut for anybody.
"""

from collections.abc import Callable
from typing import Final, Protocol

from dataflow.web.server.connection import Connection

#: A burst is over sooner than this; then who still waits is told to come again.
WAIT_SECONDS: Final = 2.0


class Transfers(Protocol):
    """What the application knows of its bodies and files."""

    def make_room(self) -> bool:
        """Cut the slowest, if one may be; its thread is free within a moment."""

    def free_places(self) -> int:
        """How many more there is room for."""


class _Waiting:
    def __init__(self, connection: Connection, deadline: float) -> None:
        self.connection = connection
        self.deadline = deadline
        self.has_been_made_room = False


class TransferQueue:
    """`threads` transfers at a time; the others wait. All calls come from one thread.

    `start` is called for one that has got its thread, `put_off` for one that gets none within WAIT_SECONDS.
    """

    def __init__(
        self,
        threads: int,
        transfers: Transfers,
        start: Callable[[Connection], None],
        put_off: Callable[[Connection], None],
    ) -> None:
        self._threads = threads
        self._transfers = transfers
        self._start = start
        self._put_off = put_off
        self._running = 0
        self._waiting: list[_Waiting] = []  #: the oldest first; there are no more than connections

    def add(self, connection: Connection, now: float) -> None:
        """Start it, or have it wait."""
        if self._running < self._threads:
            self._begin(connection)
        else:
            connection.ask_for_body()
            self._waiting.append(waiting := _Waiting(connection, now + WAIT_SECONDS))
            self._make_room(waiting)

    def end_one(self) -> None:
        """A thread is free again."""
        self._running -= 1
        if self._waiting:
            first = next((each for each in self._waiting if each.connection.has_body_come()), self._waiting[0])
            self._waiting.remove(first)
            self._begin(first.connection)

    def look_up(self, now: float) -> None:
        """Put off who has waited for too long, and try to make room for the others."""
        while self._waiting and self._waiting[0].deadline <= now:
            self._put_off(self._waiting.pop(0).connection)
        self._make_room(*self._waiting)

    def free_places(self, most: int) -> int:
        """For how many more there is room, as far as that is known, at most `most`."""
        return max(0, min(self._transfers.free_places(), most - self._running - len(self._waiting)))

    def _begin(self, connection: Connection) -> None:
        self._running += 1
        self._start(connection)

    def _make_room(self, *waiting: _Waiting) -> None:
        """Once for each whose body has come. Whom to cut is looked for again and again: all may be too new yet."""
        for each in waiting:
            if not each.has_been_made_room and each.connection.has_body_come():
                if not self._transfers.make_room():
                    return
                each.has_been_made_room = True
