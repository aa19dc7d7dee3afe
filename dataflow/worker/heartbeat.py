"""Signs of life for the jobs of one worker, and for itself behind a pooler.

A thread of its own, because a job that keeps the interpreter busy must not look dead; a connection of its own, because
nothing else may run on that of a COPY. An attempt whose job is no longer its own is ended here; one whose beats have
gone unconfirmed for a lease is ended by `watchdog`, which waits for no database.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable

from dataflow import db
from dataflow.db import Connection, query
from dataflow.db.kept_connection import KeptConnection
from dataflow.errors import DatabaseError, LeaseLost, TooManyConnections
from dataflow.queue import jobs, live_workers
from dataflow.queue.attempt import Attempt
from dataflow.worker.outage import Outage

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0


class Heartbeat:
    """Beats for every running attempt once an interval, and soon again when it cannot."""

    def __init__(self, url: str, role: str, attempts: Callable[[], Iterable[Attempt]], interval_seconds: float) -> None:
        self.connection = KeptConnection(url, role)
        self._attempts = attempts
        self._interval_seconds = interval_seconds
        self.pooled_worker: str | None = None  #: the name of a worker behind a pooler, which beats busy or not
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(0.5)

    def _run(self) -> None:
        pause_seconds, outage = self._interval_seconds, Outage()
        while not self._stopping.wait(pause_seconds):
            began = time.monotonic()
            try:
                self._beat_all()
                pause_seconds = max(self._interval_seconds - (time.monotonic() - began), 0.0)
            except DatabaseError as error:
                pause_seconds = outage.next_pause_seconds(isinstance(error, TooManyConnections))
                pause_seconds = min(pause_seconds, self._interval_seconds)
                if outage.is_news():
                    logger.warning("heartbeat missed", extra={"code": error.code, "error": error.message})
            except Exception:
                # Without beats every job of this worker would be given up.
                logger.exception("heartbeat broke")
                pause_seconds = self._interval_seconds
        self.connection.close()

    def _beat_all(self) -> None:
        attempts = list(self._attempts())
        if attempts or self.pooled_worker is not None:
            self.connection.open()
            with self.connection.use() as connection:
                self._beat_each(connection, attempts)

    def _beat_each(self, connection: Connection, attempts: Iterable[Attempt]) -> None:
        for attempt in attempts:
            try:
                self._beat(connection, attempt)
            except LeaseLost as error:
                if not attempt.is_settling:
                    attempt.cut(error)
            except DatabaseError as error:
                if connection.broken:
                    raise
                log = {"job_id": str(attempt.job.id), "code": error.code, "error": error.message}
                logger.warning("heartbeat of a job missed", extra=log)
        # Last: that the jobs are ours matters more than that /health knows of us.
        if self.pooled_worker is not None:
            with db.translated(), db.limited(connection, self._interval_seconds):
                live_workers.beat(connection, self.pooled_worker)

    def _beat(self, connection: Connection, attempt: Attempt) -> None:
        asked_at = time.monotonic()
        with db.translated():
            jobs.beat(connection, attempt.job, attempt.progress, self._interval_seconds)
            attempt.confirmed = asked_at
            self._look_at_server(connection, attempt)

    def _look_at_server(self, connection: Connection, attempt: Attempt) -> None:
        """Ask what its server process does, when a statement is watched or nothing has moved since the last beat."""
        is_still, attempt.last_position = attempt.position == attempt.last_position, attempt.position
        pid = attempt.statement_pid or (attempt.job.backend_pid if is_still else None)
        if pid is None:
            attempt.waits_for = None
            return
        with db.limited(connection, self._interval_seconds):
            found = connection.execute(query("server/backend_activity"), {"pid": pid}).fetchone()
        waits_for = found["waits_for"] if found else None
        if waits_for and waits_for != attempt.waits_for:
            log = {"job_id": str(attempt.job.id), "waits_for": waits_for}
            logger.info(f"{attempt.job.kind} waits", extra=log)
        attempt.waits_for = waits_for
        if found and found["is_at_work"] and attempt.statement_pid is not None:
            attempt.statement_looks += 1
