"""Throttles an export while imports run, which need the same processors, server and disk.

Why it is so: an export that a client takes as fast as it can keeps two processors busy, and imports beside it came to
half of their rate. A lower priority of its thread would be simpler, but that thread holds the interpreter's lock:
whoever waits for the lock, `/health` included, would wait for a thread that gets no processor. A slow client costs
imports little, and is not made slower: pauses are in proportion to what the export has computed.
"""

import time
from collections.abc import Callable
from typing import Final

from dataflow import db
from dataflow.errors import DatabaseError
from dataflow.queue.attempt import Attempt

#: A pause is so many times the processor time that this thread has used since the last one; the server uses about twice
#: as much for the same rows.
PAUSE_RATIO: Final = 6.0
#: Whoever stops an export, or leaves it, is not noticed during a pause.
LONGEST_PAUSE_SECONDS: Final = 0.5
#: Often enough for imports that take a second, and not felt by the database; less often when that does not answer.
ASK_SECONDS, ASK_AGAIN_SECONDS = 0.1, 5.0


class Throttle:
    """Of one export, used in its thread alone. `are_imports_running` may raise what says that nobody knows."""

    def __init__(
        self,
        are_imports_running: Callable[[], bool],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        processor_seconds: Callable[[], float] = time.thread_time,
    ) -> None:
        self._ask = are_imports_running
        self._sleep, self._clock, self._processor_seconds = sleep, clock, processor_seconds
        self._is_needed = False
        self._ask_at = 0.0
        self._used_seconds = processor_seconds()

    def pause(self) -> None:
        """To be called behind each block."""
        if self._clock() >= self._ask_at:
            self._look()
        used = self._processor_seconds()
        if self._is_needed:
            self._sleep(min(PAUSE_RATIO * (used - self._used_seconds), LONGEST_PAUSE_SECONDS))
        self._used_seconds = used

    def _look(self) -> None:
        pause_seconds = ASK_SECONDS
        try:
            self._is_needed = self._ask()
        except DatabaseError:
            # No reason to break an export off: it notices by itself when the database is gone.
            pause_seconds = ASK_AGAIN_SECONDS
        self._ask_at = self._clock() + pause_seconds


def running_imports(pool: db.Pool) -> Callable[[], bool]:
    """What asks the jobs table, so that imports of all workers count."""

    def ask() -> bool:
        with db.borrowed_once(pool, ASK_AGAIN_SECONDS) as connection:
            return bool(db.value(connection, "jobs/is_import_running"))

    return ask


def imports_beside(attempt: Attempt) -> Callable[[], bool]:
    """What asks the worker of `attempt`, whose processor and interpreter's lock all its jobs share.

    It costs no connection; imports of other workers may be on other machines.
    """
    return lambda: any(other.job.kind == "import" for other in attempt.beside())
