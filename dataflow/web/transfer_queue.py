"""Requests that take as long as their clients like: they have threads of their own, and a short queue before them."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from dataflow.web.connection import Connection

logger = logging.getLogger(__name__)

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
    """`threads` transfers at a time, as many others waiting. All calls come from one thread.

    `start` is called for one that has got its thread, `put_off` for one that gets none.
    """

    def __init__(
        self,
        threads: int,
        transfers: Transfers | None,
        start: Callable[[Connection], None],
        put_off: Callable[[Connection], None],
    ) -> None:
        self._threads = threads
        self._transfers = transfers
        self._start = start
        self._put_off = put_off
        self._running = 0
        self._waiting: deque[_Waiting] = deque()

    def add(self, connection: Connection, now: float) -> None:
        """Start it, or have it wait; too many others waiting put it off at once."""
        if self._running < self._threads:
            self._begin(connection)
        elif len(self._waiting) < self._threads:
            self._waiting.append(_Waiting(connection, now + WAIT_SECONDS))
            self._make_room()
        else:
            self._put_off(connection)

    def end_one(self) -> None:
        """A thread is free again."""
        self._running -= 1
        if self._waiting:
            self._begin(self._waiting.popleft().connection)

    def look_up(self, now: float) -> None:
        """Put off who has waited for too long, and try to make room for the others."""
        while self._waiting and self._waiting[0].deadline <= now:
            self._put_off(self._waiting.popleft().connection)
        self._make_room()

    def free_places(self, most: int) -> int:
        """For how many more there is room, as far as that is known, at most `most`."""
        known = self._transfers.free_places() if self._transfers else most
        return max(0, min(known, most - self._running - len(self._waiting)))

    def _begin(self, connection: Connection) -> None:
        self._running += 1
        self._start(connection)

    def _make_room(self) -> None:
        """Once for each that waits. Whom to cut is looked for again and again: all may be too young yet."""
        for waiting in self._waiting:
            if not (waiting.has_been_made_room or (self._transfers and self._transfers.make_room())):
                return
            waiting.has_been_made_room = True
