"""A limit on how long a file may be read without a further row: files are made that take minutes and hold nothing."""

import time
from collections.abc import Callable
from typing import Final

from dataflow.errors import TakesTooLong

#: Blank lines, empty rows and texts that no cell refers to take less than a second for each million.
MAX_SECONDS: Final = 60.0


class TimeLimit:
    """Counts what its thread computes, as `time.thread_time` does: waiting for a storage, a database, other threads or
    a process that is stopped is not the file's fault.
    """

    def __init__(self, seconds: float = MAX_SECONDS, clock: Callable[[], float] = time.thread_time) -> None:
        self._seconds = seconds
        self._clock = clock
        self._rows = 0
        self._row_at = clock()

    def note_rows(self, rows: int) -> None:
        """So many further rows were read; whatever was done with them since does not count."""
        if rows:
            self._rows += rows
            self._row_at = self._clock()

    def check(self) -> None:
        """:raises TakesTooLong: when no row has come for too long; called often enough, that is while it is read."""
        if self._clock() - self._row_at > self._seconds:
            where = f"behind row {self._rows}" if self._rows else "at its beginning"
            raise TakesTooLong(
                f"Reading the file took more than {self._seconds:g} s of computing without a further row, {where}. "
                "Remove what is no row from it, or save it as CSV."
            )
