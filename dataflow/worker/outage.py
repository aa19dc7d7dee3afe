"""How soon a worker asks again for a database that is away: at once, then again and again within a second.

Servers come back when they please, and whoever has learned to be patient by then keeps everybody waiting: the pauses
stay short however long it takes. But a server that is full starts a process for each attempt: it is asked every few
seconds. Told of it is not every attempt.
"""

import random
import time
from collections.abc import Callable

#: First and longest pause between two attempts, in seconds.
PAUSE_SECONDS = (0.1, 0.5)
#: The longest pause before a server that is full is asked again.
FULL_PAUSE_SECONDS = 5.0
#: An outage that lasts is told again after this long.
TELL_SECONDS = 10.0


class Outage:
    """What one thread knows of the database's absence; `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause_seconds = PAUSE_SECONDS[0]
        self._failed_at = self._told_at = float("-inf")

    def next_pause_seconds(self, is_full: bool = False) -> float:
        """How long to wait after an attempt that has failed just now: up to twice as long as before.

        It begins anew when the last failure is longer ago than attempts at an absent server can be.
        """
        now = self._clock()
        if now - self._failed_at > TELL_SECONDS:
            self._pause_seconds = PAUSE_SECONDS[0]
        longest_seconds = FULL_PAUSE_SECONDS if is_full else PAUSE_SECONDS[1]
        self._failed_at, pause = now, min(self._pause_seconds, longest_seconds)
        self._pause_seconds = min(2 * pause, longest_seconds)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads attempts, guards nothing

    def is_news(self) -> bool:
        """Whether this failure should be told: the first one, and one of every TELL_SECONDS."""
        now = self._clock()
        if now - self._told_at < TELL_SECONDS:
            return False
        self._told_at = now
        return True
