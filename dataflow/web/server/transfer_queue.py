"""The queue of transfers, which take as long as their clients like and have threads of their own.

Slow clients must not keep fast ones waiting: a request whose body is here goes first, and only for one of those another
transfer is cut. Were slow ones cut for slow ones that come again, all with a thread would be too new to be cut.
"""

from collections.abc import Callable
from typing import Final, Protocol

from dataflow.web.server.connection import Connection

#: A burst is over sooner; a request that still waits then is refused for now.
WAIT_SECONDS: Final = 2.0


class Transfers(Protocol):
    def make_room(self) -> bool:
        """Cut the slowest transfer, if one may be cut; its thread is free within a moment."""

    def free_places(self) -> int:
        """For how many more bodies there is room."""


class _Waiting:
    def __init__(self, connection: Connection, deadline: float) -> None:
        self.connection = connection
        self.deadline = deadline
        self.has_been_made_room = False


class TransferQueue:
    """At most `threads` transfers are started at a time; who waits longer than WAIT_SECONDS is put off.

    All calls come from one thread.
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
        if self._running < self._threads:
            self._begin(connection)
        else:
            connection.ask_for_body()
            self._waiting.append(waiting := _Waiting(connection, now + WAIT_SECONDS))
            self._make_room(waiting)

    def end_one(self) -> None:
        self._running -= 1
        if self._waiting:
            first = next((each for each in self._waiting if each.connection.has_body_come()), self._waiting[0])
            self._waiting.remove(first)
            self._begin(first.connection)

    def look_up(self, now: float) -> None:
        """Put off requests that have waited too long, and try to make room for the others."""
        while self._waiting and self._waiting[0].deadline <= now:
            self._put_off(self._waiting.pop(0).connection)
        self._make_room(*self._waiting)

    def free_places(self, most: int) -> int:
        return max(0, min(self._transfers.free_places(), most - self._running - len(self._waiting)))

    def _begin(self, connection: Connection) -> None:
        self._running += 1
        self._start(connection)

    def _make_room(self, *waiting: _Waiting) -> None:
        """Once for each whose body is here; tried again and again, as all transfers may be too new to be cut."""
        for each in waiting:
            if not each.has_been_made_room and each.connection.has_body_come():
                if not self._transfers.make_room():
                    return
                each.has_been_made_room = True
