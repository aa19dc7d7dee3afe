"""A limit on how long a file may be read without a further row: files are made that take minutes and hold nothing."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from dataflow.errors import TakesTooLong

#: Blank lines, empty rows and texts that no cell refers to take less than a second for each million.
MAX_SECONDS: Final = 60.0
#: What one piece may count for, which takes milliseconds: a process that was stopped has read nothing meanwhile.
_MAX_STEP_SECONDS: Final = 1.0


class TimeLimit:
    """Counts the time that passes while a file is read, other threads' share included: that is how long it has its
    place. What is spent on the rows that come, and on waiting for the next bytes, does not count.
    """

    def __init__(self, seconds: float = MAX_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._rows = 0
        self._spent_seconds = 0.0  #: since the last row
        self._counted_at = clock()

    def received(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces, of what has to be waited for."""
        pieces = iter(pieces)
        while True:
            self._count()
            piece = next(pieces, None)
            self._counted_at = self._clock()
            if piece is None:
                return
            yield piece

    def note_rows(self, rows: int) -> None:
        """So many further rows were read; whatever was done with them since does not count."""
        self._counted_at = self._clock()
        if rows:
            self._rows += rows
            self._spent_seconds = 0.0

    def check(self) -> None:
        """:raises TakesTooLong: when no row has come for too long; called often enough, that is while it is read."""
        self._count()
        if self._spent_seconds > self._seconds:
            where = f"behind row {self._rows}" if self._rows else "at its beginning"
            raise TakesTooLong(
                f"Reading the file took more than {self._seconds:g} s without a further row, {where}. "
                "Remove what is no row from it, or save it as CSV."
            )

    def _count(self) -> None:
        now = self._clock()
        self._spent_seconds += min(now - self._counted_at, _MAX_STEP_SECONDS)
        self._counted_at = now
