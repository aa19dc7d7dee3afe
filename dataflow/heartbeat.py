"""Signs of life for the imports of one worker, on a connection and in a thread of their own.

A thread, because an import that keeps the interpreter busy must not look dead; a connection, because nothing else
may run on that of a COPY. An attempt whose job is no longer its own is told to stop here.
"""

import logging
import threading
from collections.abc import Callable, Iterable

from dataflow import db, jobs
from dataflow.db import Connection
from dataflow.errors import DatabaseError, LeaseLost
from dataflow.importer import Attempt

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0


class Heartbeat:
    """Writes heartbeat_at and the progress of every running attempt, each INTERVAL_SECONDS."""

    def __init__(
        self,
        url: str,
        role: str,
        attempts: Callable[[], Iterable[Attempt]],
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        self._url = url
        self._role = role
        self._attempts = attempts
        self._interval_seconds = interval_seconds
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns at once when it is not in the middle of a beat."""
        self._stopping.set()
        self._thread.join(self._interval_seconds)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            if attempts := list(self._attempts()):
                try:
                    self._beat(attempts)
                except DatabaseError as error:
                    # One missed beat is nothing; the next one connects again.
                    logger.warning("heartbeat missed", extra={"code": error.code, "error": error.message})
                    self._disconnect()
        self._disconnect()

    def _beat(self, attempts: Iterable[Attempt]) -> None:
        if self._connection is None:
            self._connection = db.connect(self._url, self._role)
        for attempt in attempts:
            try:
                with db.translated():
                    jobs.beat(self._connection, attempt.job, attempt.tally)
            except LeaseLost as error:
                attempt.stop(error)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
