"""Runs a claimed job and settles it, whatever happens.

Here and nowhere else it is decided whether a job is tried again: by the error's `retryable` and the job's budget.
"""

import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg

from dataflow import allocator, db
from dataflow.config import Config
from dataflow.db import Connection
from dataflow.db.failures import translate
from dataflow.db.kept_connection import KeptConnection
from dataflow.errors import DataFlowError, LeaseLost, StatementCancelled, TooManyConnections, WorkerStopping
from dataflow.queue import jobs
from dataflow.queue.attempt import Attempt
from dataflow.queue.handler import Handler
from dataflow.storage.base import Storage
from dataflow.text import storable
from dataflow.worker.handlers import handler_of

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 15.0  #: for so long an outcome is written again and again: a server that restarts is back in seconds
SETTLE_TRY_SECONDS, SETTLE_PAUSE_SECONDS = 5.0, 0.5
UNEXPECTED = "An unexpected error; see the worker's log."
RETRIED, FAILED = "will be retried", "failed"  #: as the log says, after the kind of the job


class Runner:
    """Runs attempts, one a thread. `connection` is for the outcome of those whose own is of no more use."""

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
            with closing(handler_of(attempt, self._storage, self._config)) as handler:
                return self._work(connection, handler)
        finally:
            allocator.give_back()

    def _work(self, connection: Connection, handler: Handler) -> bool:
        began = time.monotonic()
        attempt, kind, log = handler.attempt, handler.attempt.job.kind, handler.attempt.log_facts
        logger.info(f"{kind} started", extra={**log, **handler.subject})
        try:
            handler.run(connection)
        except DataFlowError as error:
            return self._settle(connection, handler, error)
        except psycopg.Error as error:
            return self._settle(connection, handler, translate(error))
        except Exception:
            # The last stop of a thread: whatever this is, the job must not stay `running`.
            logger.exception(f"{kind} broke", extra=log)
            return self._settle(connection, handler, DataFlowError(UNEXPECTED))
        attempt.release()
        measured = {"bytes": handler.progress.bytes_done, "seconds": round(time.monotonic() - began, 3)}
        logger.info(f"{kind} succeeded", extra={**log, **handler.counts, **measured})
        try:
            handler.after_commit(connection)
        except Exception:
            # The job has succeeded all the same.
            logger.exception(f"{kind} broke after its commit", extra=log)
        return True

    def _settle(self, connection: Connection, handler: Handler, error: DataFlowError) -> bool:
        """Write down what becomes of a job whose attempt ended with `error`; False for a failed job."""
        attempt, kind = handler.attempt, handler.attempt.job.kind
        log = {**attempt.log_facts, "code": error.code}
        # From here on the connection is ours alone: being cut once more would leave the outcome unwritten.
        attempt.release()
        deadline = time.monotonic() + SETTLE_SECONDS + handler.failure_seconds
        refusal: DataFlowError | None = None  #: why what is kept of a failure cannot be
        while not isinstance(error, LeaseLost):
            try:
                with (
                    db.translated(),
                    self._usable(connection, attempt) as usable,
                    db.limited(usable, SETTLE_TRY_SECONDS + handler.failure_seconds),
                ):
                    outcome, facts = self._write_outcome(usable, handler, error, refusal)
                level = logging.WARNING if outcome == RETRIED else logging.INFO
                logger.log(level, f"{kind} {outcome}", extra={**log, **facts})
                return outcome != FAILED
            except LeaseLost as lost:
                error = lost
            except Exception as raised:
                failure = raised if isinstance(raised, DataFlowError) else DataFlowError(UNEXPECTED)
                if failure is not raised:
                    logger.exception(f"{kind} broke", extra=log)
                attempt.is_cut = True
                if not failure.retryable and refusal is None:
                    # Refused the same way every time: better to keep nothing of the failure than to have no end.
                    refusal = failure
                    continue
                if time.monotonic() > deadline or self._hurrying.wait(SETTLE_PAUSE_SECONDS):
                    # The row stays `running` without a backend, which is how the next reclaim finds it.
                    logger.warning(f"{kind} outcome not written", extra={**log, "failure": failure.message})
                    return True
        logger.info(f"{kind} given up", extra=log)
        return True

    def _write_outcome(
        self, connection: Connection, handler: Handler, error: DataFlowError, refusal: DataFlowError | None
    ) -> tuple[str, dict[str, object]]:
        """What becomes of the job once this is committed, as the log says it, and its facts."""
        job = handler.attempt.job
        if isinstance(error, WorkerStopping):
            jobs.requeue(connection, job, delay_seconds=0, charge=0, error=None)
            return "handed on", {}
        if isinstance(error, StatementCancelled):
            self._end(connection, handler, "cancelled", error, refusal)
            return "cancelled in the database", {}
        if isinstance(error, TooManyConnections):
            waits = jobs.requeue_uncharged(connection, job, explain(error))
            if waits is not None:
                return RETRIED, {"delay_seconds": round(waits, 1), "is_charged": False}
        if error.retryable and job.failures + 1 < job.max_failures:
            delay = retry_delay_seconds(job.failures)
            jobs.requeue(connection, job, delay_seconds=delay, charge=1, error=explain(error))
            return RETRIED, {"delay_seconds": round(delay, 1)}
        self._end(connection, handler, "failed", error, refusal)
        return FAILED, {"read": handler.progress.rows_read, "rejected": handler.progress.rows_rejected}

    def _end(
        self,
        connection: Connection,
        handler: Handler,
        state: str,
        error: DataFlowError,
        refusal: DataFlowError | None,
    ) -> None:
        # The row last, so that it is locked for a moment only.
        reason = explain(error) + handler.on_failure(connection, refusal)
        jobs.end(connection, handler.attempt.job, handler.progress, state, reason)

    @contextmanager
    def _usable(self, connection: Connection, attempt: Attempt) -> Iterator[Connection]:
        if not (connection.broken or attempt.is_cut):
            yield connection
            return
        with self.connection.use() as shared:
            yield shared


def explain(error: DataFlowError) -> str:
    return storable(f"{error.code}: {error.message}")


def retry_delay_seconds(failures: int) -> float:
    """For a job that has failed `failures` times before: doubled each time, half to one and a half of that."""
    spread: float = random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, guards nothing
    return min(jobs.RETRY_MAX_SECONDS, jobs.RETRY_BASE_SECONDS * 2.0 ** min(failures, 20)) * spread
