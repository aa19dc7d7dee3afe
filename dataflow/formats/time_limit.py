"""A limit on how long a file may be read without a further row, against files that are made to take long."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from dataflow.errors import InputError

#: Blank lines, empty rows and texts that no cell refers to take less than a second for each million.
MAX_SECONDS: Final = 60.0
#: A piece takes milliseconds. A longer step means that the process was stopped.
_MAX_STEP_SECONDS: Final = 1.0


class TimeLimit:
    """Counts the time in which a file is read, but not the time for its rows or for the next bytes to come."""

    def __init__(self, seconds: float = MAX_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._rows = 0
        self._spent_seconds = 0.0  #: since the last row
        self._counted_at = clock()

    def timed(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces; waiting for them does not count."""
        pieces = iter(pieces)
        while True:
            self._count()
            piece = next(pieces, None)
            self._counted_at = self._clock()
            if piece is None:
                return
            yield piece

    def note_rows(self, rows: int) -> None:
        """So many rows have been read and dealt with."""
        self._counted_at = self._clock()
        if rows:
            self._rows += rows
            self._spent_seconds = 0.0

    def check(self) -> None:
        """:raises InputError: takes_too_long when no row has come for too long."""
        self._count()
        if self._spent_seconds > self._seconds:
            where = f"behind row {self._rows}" if self._rows else "at its beginning"
            raise InputError(
                f"Reading the file took more than {self._seconds:g} s without a further row, {where}. "
                "Remove what is no row from it, or save it as CSV.",
                code="takes_too_long",
            )

    def _count(self) -> None:
        now = self._clock()
        self._spent_seconds += min(now - self._counted_at, _MAX_STEP_SECONDS)
        self._counted_at = now
