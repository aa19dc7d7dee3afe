"""How patient the storage backends are: a schedule of waits, within a time that the caller can afford."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from dataflow.errors import StorageError, StorageUnavailable

#: No attempt may use up all the time there is: when an answer never comes, something is left to ask again.
SHARE_OF_ONE_ATTEMPT = 0.6


@dataclass(frozen=True, slots=True)
class Schedule:
    delays: tuple[float, ...] = (0.0, 3.0, 5.0, 10.0, 20.0)  #: before each further attempt
    #: Routers cut a request that is silent for 55 s; so long nothing may be read from the client.
    chunk_seconds: float = 45.0
    #: Platforms cut 30 s after the request's last byte, and giving up takes up to 8 s more.
    last_chunk_seconds: float = 18.0
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], object] = time.sleep


class Retries:
    """The attempts at one thing, within `limit_seconds` from now; a true result of `wait` calls them off."""

    def __init__(self, schedule: Schedule, limit_seconds: float, wait: Callable[[float], object] | None = None) -> None:
        self._schedule = schedule
        self._wait = wait or schedule.wait
        self._deadline = schedule.clock() + limit_seconds
        self.failures = 0

    @property
    def left_seconds(self) -> float:
        return self._deadline - self._schedule.clock()

    @property
    def attempt_seconds(self) -> float:
        """A second at least, so that a last question still has a chance."""
        return max(1.0, self.left_seconds * SHARE_OF_ONE_ATTEMPT)

    def succeeded(self) -> None:
        """The schedule begins anew, the limit stands."""
        self.failures = 0

    def check(self) -> None:
        """:raises StorageUnavailable: when the time is up, although no attempt has failed."""
        if self.left_seconds <= 0:
            raise StorageUnavailable("The storage was too slow.")

    def pause(self, error: StorageError) -> None:
        """:raises StorageError: `error`, when no attempt or no time is left, or the waiting was called off."""
        if self.failures >= len(self._schedule.delays):
            raise error
        delay = self._schedule.delays[self.failures]
        if delay >= self.left_seconds:
            raise error
        self.failures += 1
        if self._wait(delay):
            raise error
