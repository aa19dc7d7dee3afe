"""Takes the jobs of workers that are gone, at start and at every poll, and ends what they may have left behind.

On a connection of its own: the listening one must hear, and those of the slots may all be at work. Runs in the
worker's loop; which jobs are lost is decided by one statement, see sql/queries/reclaim_jobs.sql.
"""

import logging
import time
from collections.abc import Sequence
from uuid import UUID

from dataflow import db, jobs
from dataflow.db import Connection
from dataflow.errors import DatabaseError
from dataflow.jobs import LostJob

logger = logging.getLogger(__name__)


class Recovery:
    """Looks for lost jobs, at most once in `every_seconds`."""

    def __init__(self, url: str, role: str, every_seconds: float) -> None:
        self._url = url
        self._role = role
        self._every_seconds = every_seconds
        self._connection: Connection | None = None
        self._due_at = 0.0

    def look(self, own: Sequence[UUID], is_direct: bool) -> None:
        """Reclaim what is lost, if it is time to; `own` jobs are running here.

        :raises DatabaseError: when that cannot be told; the next call connects again.
        """
        if time.monotonic() < self._due_at:
            return
        connection = self._connected()
        try:
            with db.translated():
                lost = jobs.reclaim(connection, own, is_direct, jobs.LEASE_SECONDS)
        except DatabaseError:
            self.close()
            raise
        self._due_at = time.monotonic() + self._every_seconds
        for job in lost:
            self._report(job)
            if is_direct and job.is_expired and job.backend_pid is not None:
                self._terminate(connection, job)

    def close(self) -> None:
        """Give the connection up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._due_at = 0.0

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = db.connect(self._url, self._role)
        return self._connection

    def _report(self, job: LostJob) -> None:
        log = {"job_id": str(job.id), "attempt": job.attempt, "request_id": job.request_id}
        facts = {"lost_worker": job.worker, "losses": job.losses, "failures": job.failures, "state": job.state}
        logger.warning("job reclaimed", extra={**log, **facts, "by": "lease" if job.is_expired else "backend"})

    def _terminate(self, connection: Connection, job: LostJob) -> None:
        """End the zombie's transaction, which cannot commit any more but holds its keys."""
        try:
            with db.translated():
                is_terminated = jobs.terminate_backend(connection, job)
        except DatabaseError as error:
            log = {"job_id": str(job.id), "backend_pid": job.backend_pid, "error": error.message}
            logger.warning("backend of a lost job not terminated", extra=log)
            return
        if is_terminated:
            logger.warning("backend of a lost job terminated", extra={"backend_pid": job.backend_pid})
