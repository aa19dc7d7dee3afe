"""How soon a worker asks again for a database that is away: within a second, however long it takes.

A server that is full starts a process for each attempt, so it is asked every few seconds.
"""

import random
import time
from collections.abc import Callable

PAUSE_SECONDS = (0.1, 0.5)  #: first and longest pause between two attempts
FULL_PAUSE_SECONDS = 5.0  #: longest pause before a server that is full is asked again
TELL_SECONDS = 10.0  #: an outage that lasts is logged again after this long


class Outage:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause_seconds = PAUSE_SECONDS[0]
        self._failed_at = self._told_at = float("-inf")

    def next_pause_seconds(self, is_full: bool = False) -> float:
        """After an attempt that has failed just now: up to twice as long as before."""
        now = self._clock()
        if now - self._failed_at > TELL_SECONDS:  # Longer than attempts at an absent server are apart.
            self._pause_seconds = PAUSE_SECONDS[0]
        longest_seconds = FULL_PAUSE_SECONDS if is_full else PAUSE_SECONDS[1]
        self._failed_at, pause = now, min(self._pause_seconds, longest_seconds)
        self._pause_seconds = min(2 * pause, longest_seconds)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads attempts, guards nothing

    def is_news(self) -> bool:
        """Whether this failure should be logged."""
        now = self._clock()
        if now - self._told_at < TELL_SECONDS:
            return False
        self._told_at = now
        return True
