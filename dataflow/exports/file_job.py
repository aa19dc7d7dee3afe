"""One claimed export: its contacts become an object in the storage with its digest, as a whole or not at all.

The rows come on the connection that claimed the job and are sent on in chunks, so that neither memory nor disk grows
with them. The job and its object commit together, when the storage has the whole.
"""

import hashlib
import logging
import time
from collections.abc import Generator, Iterator
from contextlib import closing

from psycopg.types.json import Jsonb

from dataflow import db
from dataflow.config import Config
from dataflow.db import Connection, query
from dataflow.db.copy_out import CopyOut
from dataflow.errors import DataFlowError, Issue, JobError, LeaseLost, StorageError
from dataflow.exports.formats import Making
from dataflow.exports.order import Order
from dataflow.exports.stream import copied
from dataflow.exports.throttle import Throttle, imports_beside
from dataflow.queue import jobs, unfinished_objects
from dataflow.queue.attempt import Attempt
from dataflow.queue.handler import Handler
from dataflow.queue.unfinished_objects import UnfinishedObject
from dataflow.storage.base import Completion, Description, Storage, StoredObject, Upload, check_size
from dataflow.storage.chunks import chunks
from dataflow.storage.stop import Stop

logger = logging.getLogger(__name__)

COMPLETION_SECONDS = 2.0
MAX_ISSUES = 100
DAY_SECONDS = 86_400.0
#: A file that nobody could fetch would be of no use, whatever is kept otherwise.
LEAST_KEPT_SECONDS = 3600.0


class _Waiting:
    """What waits for the storage, as `Attempt.stop` ends it."""

    def __init__(self) -> None:
        self.stop = Stop()

    def close(self) -> None:
        self.stop.set()


class ExportHandler(Handler):
    """Whatever is raised, the job has no file, and what was sent of one is removed when the job is settled."""

    def __init__(self, attempt: Attempt, storage: Storage, config: Config) -> None:
        super().__init__(attempt)
        self._storage = storage
        self._config = config
        self._waiting = _Waiting()
        self._ends_at = time.monotonic() + config.export_seconds
        self._digest = hashlib.sha256()
        self._size_bytes = 0
        self._leftover: UnfinishedObject | None = None  #: to be removed, unless the job takes it

    @property
    def subject(self) -> dict[str, object]:
        return {"format": self.attempt.job.format}

    @property
    def counts(self) -> dict[str, int]:
        return {"exported": self.progress.rows_exported}

    def run(self, connection: Connection) -> None:
        """:raises StorageError: when the object cannot be stored.

        :raises JobError: export_too_long when it takes that, and would again.
        :raises LeaseLost, DatabaseError: when the job is no longer this attempt's; when the database refuses.
        """
        try:
            with db.translated(), self.attempt.reading(self._waiting):
                order = Order.of_options(self.attempt.job.options)
                self._succeed(connection, *self._store(connection, order))
        except DataFlowError:
            # Whatever comes of what `stop` and `cut` have ended, nothing else is to blame for it.
            self.attempt.check()
            raise

    def close(self) -> None:
        """Remove what no job will take; if that fails, the sweep does it."""
        if self._leftover is None:
            return
        key, address = self._leftover.object_key, self._leftover.upload_url
        try:
            self._storage.discard(key, address, is_hurried=self._waiting.stop.is_set())
        except StorageError as error:
            logger.warning("object not removed", extra={**self.attempt.log_facts, "object": key, "code": error.code})

    def _store(self, connection: Connection, order: Order) -> tuple[str, StoredObject]:
        job, form = self.attempt.job, order.form
        key = f"{job.id}.{job.attempt}.{form.extension}"
        unfinished_objects.note(connection, job, key)
        self._leftover = UnfinishedObject(key, None)
        metadata = {"jobId": str(job.id), "contentType": form.media_type, "fileName": job.file_name or ""}
        upload = self._storage.begin(key, Description(form.media_type, metadata), self._waiting.stop)
        self._leftover = UnfinishedObject(key, upload.address)
        unfinished_objects.note(connection, job, key, upload.address)
        with closing(self._pieces(connection, order)) as pieces:
            stored = self._send(upload, pieces)
        check_size(stored.size_bytes, self._size_bytes)
        return key, stored

    def _pieces(self, connection: Connection, order: Order) -> Generator[bytes, None, None]:
        """The file, in a transaction of its own that is over when it is."""
        copy = CopyOut(connection, self._check)
        throttle = Throttle(imports_beside(self.attempt))

        def check() -> None:
            self.progress.rows_exported = copy.row_count
            self._check()
            throttle.pause()

        making = Making(order.fields, check, self._note)
        try:
            with connection.transaction():
                connection.execute(query("session/configure_export"))
                statement = order.form.copy(connection, order.fields, order.selection)
                with (
                    self.attempt.watched_statement(connection),
                    closing(copied(connection, copy, statement, order.form, making)) as pieces,
                ):
                    for piece in pieces:
                        check()
                        self._digest.update(piece)
                        self._size_bytes += len(piece)
                        yield piece
            self.progress.rows_exported = copy.row_count
        finally:
            # What has ended early has closed it.
            self.attempt.is_cut = self.attempt.is_cut or connection.closed

    def _send(self, upload: Upload, pieces: Iterator[bytes]) -> StoredObject:
        last: memoryview | bytes = b""
        for chunk, is_last in chunks(pieces, self._storage.chunk_bytes):
            self._check()
            if is_last:
                last = chunk
            else:
                self.progress.bytes_done = upload.append(chunk)
        found = upload.finish(last)
        self.progress.bytes_done = self._size_bytes
        return found if isinstance(found, StoredObject) else self._completed(found)

    def _completed(self, completion: Completion) -> StoredObject:
        try:
            while (stored := completion.wait(COMPLETION_SECONDS)) is None:
                self._check()
        except BaseException:
            completion.release()
            raise
        return stored

    def _note(self, issue: Issue) -> None:
        if len(self.progress.issues) < MAX_ISSUES:
            self.progress.issues.append(issue)

    def _check(self) -> None:
        self.attempt.check()
        if time.monotonic() >= self._ends_at:
            raise JobError(
                f"The export took longer than {self._config.export_seconds:g} s (EXPORT_SECONDS).",
                code="export_too_long",
            )

    def _succeed(self, connection: Connection, key: str, stored: StoredObject) -> None:
        self._check()
        # From here on the database alone knows whether the job has the object.
        leftover, self._leftover = self._leftover, None
        values = {
            "rows_exported": self.progress.rows_exported,
            "bytes_total": stored.size_bytes,
            "object_key": key,
            "object_etag": stored.etag,
            "content_sha256": self._digest.hexdigest(),
            "kept_seconds": kept_seconds(self._config),
            "issues": Jsonb([issue.as_json() for issue in self.progress.issues]),
        }
        try:
            with connection.transaction():
                connection.execute(query("session/configure_import"))
                unfinished_objects.take(connection, key)
                self.attempt.is_settling = True
                jobs.fenced(connection, "jobs/succeed_export", self.attempt.job, **values)
        except LeaseLost:
            self._leftover = leftover
            raise


def kept_seconds(config: Config) -> float:
    """How long a file can be fetched: like other files, but an hour at least."""
    days = min(config.object_retention_days, config.job_retention_days or config.object_retention_days)
    return max(days * DAY_SECONDS, LEAST_KEPT_SECONDS)
