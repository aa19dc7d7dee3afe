"""How fast a client is: waiting for it uses up time that its bytes earn.

Time that the storage, the database or we take does not count. One thread writes, any thread may read.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from dataflow.errors import RequestError

Clock = Callable[[], float]

#: A faster client (6 MiB in three minutes), or one that was waited for less, is never cut for somebody else's sake.
SLOW_BYTES_SECOND: Final = 32 * 1024
SLOW_SECONDS: Final = 5.0


class Allowance:
    """At most and at first `seconds` of waiting; each byte earns 1 / `bytes_second`, or all of them if that is 0."""

    def __init__(self, seconds: float, bytes_second: float) -> None:
        self._seconds = seconds
        self._bytes_second = bytes_second
        self.left_seconds = seconds

    def spend(self, seconds: float) -> None:
        self.left_seconds = max(0.0, self.left_seconds - seconds)

    def earn(self, size_bytes: int) -> None:
        earned = size_bytes / self._bytes_second if self._bytes_second else self._seconds * (size_bytes > 0)
        self.left_seconds = min(self._seconds, self.left_seconds + earned)


class Pace:
    """Of one body: at least `min_bytes_second` (0: a sign of life) over `stall_seconds` of waiting for its client."""

    def __init__(self, stall_seconds: float, min_bytes_second: int, clock: Clock = time.monotonic) -> None:
        self._stall_seconds = stall_seconds
        self._min_bytes_second = min_bytes_second
        self._clock = clock
        self._limit = Allowance(stall_seconds, min_bytes_second)
        self._slowness = Allowance(SLOW_SECONDS, SLOW_BYTES_SECOND)
        self._wait_began: float | None = None
        self._waited_seconds, self._moved_bytes = 0.0, 0

    def begin_wait(self) -> None:
        self._wait_began = self._clock()

    def end_wait(self) -> None:
        waited_seconds = self.waiting_seconds
        self._wait_began = None
        self._waited_seconds += waited_seconds
        for allowance in (self._limit, self._slowness):
            allowance.spend(waited_seconds)

    def note(self, size_bytes: int) -> None:
        self._moved_bytes += size_bytes
        for allowance in (self._limit, self._slowness):
            allowance.earn(size_bytes)

    def sent(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces, with the wait for whoever takes them."""
        for piece in pieces:
            self.begin_wait()
            yield piece
            self.end_wait()
            self.note(len(piece))

    @property
    def waiting_seconds(self) -> float:
        began = self._wait_began
        return 0.0 if began is None else self._clock() - began

    @property
    def left_seconds(self) -> float:
        """How much longer the client may be waited for; negative when that is over."""
        return self._limit.left_seconds - self.waiting_seconds

    @property
    def is_slow(self) -> bool:
        """Whether the client is being waited for, and has been under SLOW_BYTES_SECOND for SLOW_SECONDS of waiting."""
        return self._wait_began is not None and self._slowness.left_seconds <= self.waiting_seconds

    @property
    def bytes_second(self) -> float:
        return self._moved_bytes / max(self._waited_seconds + self.waiting_seconds, 0.001)

    def check(self) -> None:
        """:raises RequestError: upload_stalled when the client has been waited for too long."""
        if self.left_seconds > 0:
            return
        if self.waiting_seconds >= self._stall_seconds:
            raise RequestError(
                f"The client sent nothing for {self._stall_seconds:g} s (UPLOAD_STALL_SECONDS).", code="upload_stalled"
            )
        raise RequestError(
            f"The body came at {self.bytes_second:.0f} bytes a second. Fewer than {self._min_bytes_second} "
            f"(UPLOAD_MIN_BYTES_SECOND) over {self._stall_seconds:g} s (UPLOAD_STALL_SECONDS) are too few.",
            code="upload_stalled",
        )
