"""Removes what is over: uploads that nobody feeds, files that nothing can need, old jobs, keys, counts, dead workers.

Workers that remove the same do no harm. What is over is decided by `queue.retention`. A storage that fails is asked
again in the next round.
"""

import logging
import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from dataflow import db
from dataflow.config import Config
from dataflow.db import Connection
from dataflow.db.kept_connection import KeptConnection
from dataflow.errors import DatabaseUnavailable, DataFlowError, StorageError, TooManyConnections
from dataflow.queue import idempotency, job_counts, live_workers, retention, unfinished_objects
from dataflow.queue.retention import Leftover
from dataflow.queue.unfinished_objects import UnfinishedObject
from dataflow.storage.base import Storage
from dataflow.worker.outage import Outage

T = TypeVar("T")
logger = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
#: What a request may take beyond the silence of its client: the storage's longest retries, twice, and the answer.
UPLOAD_SLACK_SECONDS = 120.0
STATEMENT_SECONDS = 30.0
DAY_SECONDS = 86_400.0


class Sweep:
    """A round after every wait of half to all of EVERY_SECONDS, the first included; without a database soon again."""

    def __init__(self, config: Config, storage: Storage, role: str) -> None:
        self._config = config
        self._storage = storage
        self.connection = KeptConnection(config.database_url, role)
        self._silent_seconds = config.upload_stall_seconds + UPLOAD_SLACK_SECONDS
        days = [config.object_retention_days, config.job_retention_days or config.object_retention_days]
        self._kept_seconds = min(days) * DAY_SECONDS
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        outage, is_away, is_full = Outage(), False, False
        while True:
            # Spread, because all workers start together after a deployment.
            every_seconds = EVERY_SECONDS * random.uniform(0.5, 1.0)  # noqa: S311 - guards nothing
            if self._stopping.wait(outage.next_pause_seconds(is_full) if is_away else every_seconds):
                return
            is_away = False
            try:
                self.sweep()
            except DataFlowError as error:
                is_away, is_full = isinstance(error, DatabaseUnavailable), isinstance(error, TooManyConnections)
                if is_away and not outage.is_news():
                    continue
                logger.warning("sweep ended early", extra={"code": error.code, "error": error.message})
            except Exception:
                logger.exception("sweep broke")

    def sweep(self) -> None:
        """:raises DatabaseError: when the database does not let the round finish."""
        with db.translated(), self.connection.use() as connection:
            with db.limited(connection, STATEMENT_SECONDS):
                live_workers.forget_silent(connection)
                connection.execute(db.query("rate_limits/forget_ended"))
                abandoned = retention.abandon_uploads(connection, self._silent_seconds)
                unfinished_objects.mark_ended(connection)
            for job_id in abandoned:
                logger.warning("upload abandoned", extra={"job_id": str(job_id)})
            self._fold_counts(connection)
            for leftover in self._paged(connection, self._leftovers):
                self._remove(connection, leftover)
            for unfinished in self._paged(connection, unfinished_objects.ended):
                self._remove_unfinished(connection, unfinished)
            self._delete(connection, idempotency.delete_old, "idempotency keys")
            if days := self._config.job_retention_days:
                self._delete(connection, partial(retention.delete_old_rejects, days=days), "rejects")
                self._delete(connection, partial(retention.delete_old_jobs, days=days), "jobs")

    def fold_counts(self) -> None:
        """:raises DatabaseError: when the database does not let it finish."""
        with db.translated(), self.connection.use() as connection:
            self._fold_counts(connection)

    def _fold_counts(self, connection: Connection) -> None:
        are_left = True
        while are_left and not self._stopping.is_set():
            with db.limited(connection, STATEMENT_SECONDS):
                are_left = job_counts.fold(connection)

    def _leftovers(self, connection: Connection, last: Leftover | None) -> list[Leftover]:
        return retention.leftovers(connection, self._kept_seconds, self._silent_seconds, last)

    def _paged(self, connection: Connection, find: Callable[[Connection, T | None], list[T]]) -> Iterator[T]:
        """All that `find` gives, which is asked for what follows the last, until there is no more or this stops."""
        last: T | None = None
        while True:
            with db.limited(connection, STATEMENT_SECONDS):
                page = find(connection, last)
            for last in page:
                if self._stopping.is_set():
                    return
                yield last
            if not page:
                return

    def _remove(self, connection: Connection, leftover: Leftover) -> None:
        with db.limited(connection, STATEMENT_SECONDS):
            file = retention.give_up_file(connection, leftover)
        if file is None:
            return
        log = {"job_id": str(leftover.id)}
        if not self._discard(file.object_key, file.upload_url, log):
            return
        with db.limited(connection, STATEMENT_SECONDS):
            retention.mark_object_deleted(connection, leftover.id)
        logger.info("file removed", extra=log)

    def _remove_unfinished(self, connection: Connection, found: UnfinishedObject) -> None:
        log = {"object": found.object_key}
        if not self._discard(found.object_key, found.upload_url, log):
            return
        with db.limited(connection, STATEMENT_SECONDS):
            is_over = unfinished_objects.forget(connection, found, self._silent_seconds)
        if is_over:
            logger.info("unfinished object removed", extra=log)

    def _discard(self, object_key: str, upload_url: str | None, log: dict[str, str]) -> bool:
        try:
            self._storage.discard(object_key, upload_url)
        except StorageError as error:
            # It may be the only file that the storage refuses.
            logger.warning("file not removed", extra={**log, "code": error.code, "error": error.message})
            return False
        return True

    def _delete(self, connection: Connection, delete: Callable[[Connection], int], what: str) -> None:
        while not self._stopping.is_set():
            with db.limited(connection, STATEMENT_SECONDS):
                count = delete(connection)
            if not count:
                return
            logger.info(f"old {what} deleted", extra={what.replace(" ", "_"): count})
