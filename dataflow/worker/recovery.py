"""Takes the jobs of workers that are gone, at start and at every poll, and ends what they may have left behind.

On a connection of its own: the listening one must hear, and those of jobs may all be at work.
"""

import logging
import time
from uuid import UUID

from dataflow import db
from dataflow.db import Connection
from dataflow.db.kept_connection import KeptConnection
from dataflow.errors import DatabaseError
from dataflow.queue import leases, notify
from dataflow.queue.leases import LostJob, Sight
from dataflow.worker import heartbeat

logger = logging.getLogger(__name__)

LOOK_SECONDS = 3.0  #: a look takes milliseconds; it is given up after this long, so that the loop can stop
SETTLING_SECONDS = 3.0  #: after a crash of the server, others need this long to be back


class Recovery:
    def __init__(self, url: str, role: str, worker: str, every_seconds: float) -> None:
        self.connection = KeptConnection(url, role)
        self._worker = worker
        self._every_seconds = every_seconds
        self._due_at = 0.0
        self._overdue: dict[tuple[UUID, int], float] = {}  #: since when we have seen (job, attempt) without a beat

    def look(self, own: list[UUID], is_direct: bool) -> None:
        """Reclaim lost jobs, at most once in `every_seconds`; `own` are running here.

        :raises DatabaseError: when that cannot be told.
        """
        if time.monotonic() < self._due_at:
            return
        self.connection.open()
        with self.connection.use() as connection:
            with db.translated(), db.limited(connection, LOOK_SECONDS):
                lost = leases.reclaim(connection, self._sight(connection, own, is_direct))
            self._due_at = time.monotonic() + self._every_seconds
            for job in lost:
                self._report(job)
                if is_direct and job.is_expired and job.backend_pid is not None:
                    self._terminate(connection, job)

    def seconds_until_due(self) -> float | None:
        """When the next queued job is due; None when none is queued.

        :raises DatabaseError: when that cannot be told.
        """
        with self.connection.use() as connection, db.translated(), db.limited(connection, LOOK_SECONDS):
            return notify.seconds_until_due(connection)

    def _sight(self, connection: Connection, own: list[UUID], is_direct: bool) -> Sight:
        now, watched_seconds = time.monotonic(), 1.2 * heartbeat.INTERVAL_SECONDS
        late = leases.overdue(connection, own, leases.LEASE_SECONDS - watched_seconds)
        self._overdue = {key: self._overdue.get(key, now) for key in late}
        overdue = [job_id for (job_id, _), since in self._overdue.items() if now - since >= watched_seconds]
        is_settled = now - self.connection.opened_at >= SETTLING_SECONDS
        return Sight(self._worker, own, overdue, is_direct, is_settled)

    def hasten(self) -> None:
        # While the database was away, nobody could see what was lost.
        self._due_at = 0.0

    def _report(self, job: LostJob) -> None:
        log = {"job_id": str(job.id), "attempt": job.attempt, "request_id": job.request_id}
        facts = {"lost_worker": job.worker, "losses": job.losses, "failures": job.failures, "state": job.state}
        logger.warning("job reclaimed", extra={**log, **facts, "by": "lease" if job.is_expired else "backend"})

    def _terminate(self, connection: Connection, job: LostJob) -> None:
        # Its transaction cannot commit any more, but holds its keys.
        try:
            with db.translated():
                is_terminated = leases.terminate_backend(connection, job)
        except DatabaseError as error:
            log = {"job_id": str(job.id), "backend_pid": job.backend_pid, "error": error.message}
            logger.warning("backend of a lost job not terminated", extra=log)
            return
        if is_terminated:
            logger.warning("backend of a lost job terminated", extra={"backend_pid": job.backend_pid})
