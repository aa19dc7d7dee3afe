"""One slot of the worker: runs a claimed job and settles it, whatever happens.

Which errors are worth another attempt is decided here and nowhere else, from `retryable` and the job's budget.
"""

import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from dataflow import allocator, db
from dataflow.config import Config
from dataflow.db import Connection, query
from dataflow.db.failures import translate
from dataflow.db.kept_connection import KeptConnection
from dataflow.errors import DataFlowError, ImportStopped, LeaseLost, StatementCancelled, TooManyConnections
from dataflow.imports import load, revert
from dataflow.imports.attempt import Attempt
from dataflow.queue import jobs, retention
from dataflow.queue.jobs import Job
from dataflow.storage.base import Storage
from dataflow.text import storable

logger = logging.getLogger(__name__)


#: An outcome is written again and again for this long: a server that restarts is back in seconds.
SETTLE_SECONDS = 15.0
#: One try, and the pause after it.
SETTLE_TRY_SECONDS, SETTLE_PAUSE_SECONDS = 5.0, 0.5

#: What refused rows may take on their way from the worker's disk into their table, as bytes a second.
REJECTS_RATE_BYTES = 4 * 1024 * 1024
#: What the log says of a success.
COUNTS = {
    "import": ("read", "imported", "updated", "skipped", "rejected", "not_imported"),
    "revert": ("reverted",),
}

#: What the log says of another end, after the kind of the job.
RETRIED, FAILED = "will be retried", "failed"


class Slot:
    """Runs attempts, one a thread; between them it holds the `connection` for those whose own is of no more use."""

    def __init__(self, config: Config, storage: Storage, role: str) -> None:
        self._config = config
        self._storage = storage
        self.connection = KeptConnection(config.database_url, role)
        self._hurrying = threading.Event()

    def hurry(self) -> None:
        """Do not wait for a database that is away any more: the process is about to end."""
        self._hurrying.set()

    def work(self, connection: Connection, attempt: Attempt) -> bool:
        """Do the job and settle it; False when it is settled as failed. Never raises a DataFlowError."""
        try:
            return self._work(connection, attempt)
        finally:
            allocator.give_back()

    def _work(self, connection: Connection, attempt: Attempt) -> bool:
        began = time.monotonic()
        job = attempt.job
        log = {"job_id": str(job.id), "attempt": job.attempt, "request_id": job.request_id}
        logger.info(f"{job.kind} started", extra={**log, **_subject(job)})
        try:
            if job.kind == "revert":
                revert.run(connection, attempt)
            else:
                load.run(connection, attempt, self._storage, self._config)
        except DataFlowError as error:
            return self._settle(connection, attempt, error, log)
        except psycopg.Error as error:
            return self._settle(connection, attempt, translate(error), log)
        except Exception:
            # The last stop of a thread: whatever this is, the job must not stay `running`.
            logger.exception(f"{job.kind} broke", extra=log)
            return self._settle(connection, attempt, DataFlowError("An unexpected error; see the worker's log."), log)
        attempt.release()
        progress = attempt.progress
        counts = {name: getattr(progress, f"rows_{name}") for name in COUNTS[job.kind]}
        logger.info(
            f"{job.kind} succeeded",
            extra={**log, **counts, "bytes": progress.bytes_done, "seconds": round(time.monotonic() - began, 3)},
        )
        if job.kind == "import":
            self._delete_object(connection, attempt, log)
        return True

    def _settle(self, connection: Connection, attempt: Attempt, error: DataFlowError, log: dict[str, Any]) -> bool:
        """Decide what becomes of a job whose attempt ended with `error`, and write it down; False for a failed job."""
        log = {**log, "code": error.code}
        # From here on the connection is ours alone: being cut once more would leave the outcome unwritten.
        attempt.release()
        rejects_seconds = attempt.rejects.size_bytes / REJECTS_RATE_BYTES
        deadline = time.monotonic() + SETTLE_SECONDS + rejects_seconds
        spoiler: DataFlowError | None = None  #: why the refused rows cannot be kept
        while not isinstance(error, LeaseLost):
            try:
                with (
                    db.translated(),
                    self._usable(connection, attempt) as usable,
                    db.limited(usable, SETTLE_TRY_SECONDS + rejects_seconds),
                ):
                    outcome, facts = self._write_outcome(usable, attempt, error, spoiler)
                level = logging.WARNING if outcome == RETRIED else logging.INFO
                logger.log(level, f"{attempt.job.kind} {outcome}", extra={**log, **facts})
                return outcome != FAILED
            except LeaseLost as lost:
                error = lost
            except DataFlowError as failure:
                attempt.is_cut = True
                if attempt.rejects.rows and not failure.retryable and spoiler is None:
                    # Refused the same way every time: a job without its rejects is better than one without an end.
                    spoiler = failure
                    continue
                if time.monotonic() > deadline or self._hurrying.wait(SETTLE_PAUSE_SECONDS):
                    # The row stays `running` without a backend, which is how the next reclaim finds it.
                    reason = {"failure": failure.message}
                    logger.warning(f"{attempt.job.kind} outcome not written", extra={**log, **reason})
                    return True
        logger.info(f"{attempt.job.kind} given up", extra=log)
        return True

    def _write_outcome(
        self, connection: Connection, attempt: Attempt, error: DataFlowError, spoiler: DataFlowError | None
    ) -> tuple[str, dict[str, object]]:
        """What becomes of the job, once this is committed, as a line of the log and its facts."""
        job = attempt.job
        if isinstance(error, ImportStopped):
            jobs.requeue(connection, job, delay_seconds=0, charge=0, error=None)
            return "handed on", {}
        if isinstance(error, StatementCancelled):
            self._end(connection, attempt, "cancelled", error, spoiler)
            return "cancelled in the database", {}
        if isinstance(error, TooManyConnections):
            waits = jobs.requeue_uncharged(connection, job, explain(error))
            if waits is not None:
                return RETRIED, {"delay_seconds": round(waits, 1), "is_charged": False}
        if error.retryable and job.failures + 1 < job.max_failures:
            delay = retry_delay_seconds(job.failures)
            jobs.requeue(connection, job, delay_seconds=delay, charge=1, error=explain(error))
            return RETRIED, {"delay_seconds": round(delay, 1)}
        self._end(connection, attempt, "failed", error, spoiler)
        return FAILED, {"read": attempt.progress.rows_read, "rejected": attempt.progress.rows_rejected}

    def _end(
        self,
        connection: Connection,
        attempt: Attempt,
        state: str,
        error: DataFlowError,
        spoiler: DataFlowError | None,
    ) -> None:
        """Settle the job for good, with its refused rows unless they have been refused in turn."""
        reason = explain(error)
        if spoiler is not None:
            reason = f"{reason} Its refused rows could not be kept: {storable(spoiler.message)}"
        elif attempt.rejects.rows:
            # Limited by our deadline: a time-out of the database's own would end each try. Before the outcome, so that
            # the job's row is locked for a moment only.
            connection.execute(query("session/configure_import"))
            attempt.rejects.write(connection, attempt.job.id)
        jobs.end(connection, attempt.job, attempt.progress, state, reason)

    @contextmanager
    def _usable(self, connection: Connection, attempt: Attempt) -> Iterator[Connection]:
        """The connection, or that of all slots for a moment when it broke."""
        if not (connection.broken or attempt.is_cut):
            yield connection
            return
        with self.connection.use() as shared:
            yield shared

    def _delete_object(self, connection: Connection, attempt: Attempt, log: dict[str, Any]) -> None:
        """The contacts are committed; whatever happens here does not change that."""
        try:
            self._storage.delete(attempt.job.object_key)
            with db.translated():
                retention.mark_object_deleted(connection, attempt.job.id)
        except DataFlowError as error:
            logger.warning("object not deleted", extra={**log, "code": error.code})


def _subject(job: Job) -> dict[str, object]:
    """What the log says of a job that begins."""
    if job.kind == "revert":
        return {"of_job": str(job.of_job)}
    return {"bytes": job.bytes_total, "format": job.format}


def explain(error: DataFlowError) -> str:
    """The text that a job keeps of an error: its code, a colon, one sentence."""
    return storable(f"{error.code}: {error.message}")


def retry_delay_seconds(failures: int) -> float:
    """How long a job waits that has failed `failures` times before: 5 s doubling to 10 min, half to one and a half."""
    spread: float = random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, guards nothing
    return min(jobs.RETRY_MAX_SECONDS, jobs.RETRY_BASE_SECONDS * 2.0 ** min(failures, 20)) * spread
