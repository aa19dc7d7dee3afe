"""Waits for the objects that the storage makes of complete uploads, and queues their jobs.

The web process does so for its own uploads, workers for those whose web process is gone. Each has a thread that the end
of the process waits for, because closing its connection to the storage earlier may cost the upload (see `storage`).
"""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from uuid import UUID

from dataflow import logs
from dataflow.db import Connection, query
from dataflow.errors import DatabaseError, StorageError, UploadLost, UploadTaken
from dataflow.queue import uploads
from dataflow.storage.base import Completion, StoredObject

logger = logging.getLogger(__name__)

BEAT_SECONDS = 2.0

Connect = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class PendingObject:
    """An upload whose bytes are all with the storage, and whose object is waited for."""

    id: UUID
    object_key: str
    upload_url: str
    size_bytes: int
    request_id: str | None = None


def claim_orphan(connection: Connection, silent_seconds: float) -> PendingObject | None:
    """An upload for whose object nobody has waited for `silent_seconds`; now the caller does."""
    row = connection.execute(query("jobs/claim_orphaned_upload"), {"silent_seconds": silent_seconds}).fetchone()
    return PendingObject(**row) if row else None


class Completions:
    """Waits for at most `limit` objects in the background."""

    def __init__(self, connect: Connect, limit: int) -> None:
        self._connect = connect
        self._limit = limit
        self._held: dict[UUID, Completion] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def has_room(self) -> bool:
        return len(self._held) < self._limit

    def start(self, pending: PendingObject, completion: Completion, done: Callable[[], None] = lambda: None) -> bool:
        """`wait` in the background; False when there is no room for another."""
        with self._lock:
            if not self.has_room():
                return False
            self._held[pending.id] = completion
        arguments = (pending, completion, done)
        # No daemon: the interpreter waits for it.
        threading.Thread(target=self._run, args=arguments, name="completion", daemon=False).start()
        return True

    def release(self) -> None:
        """End all waiting, which may cost the uploads."""
        for completion in list(self._held.values()):
            completion.release()

    def _run(self, pending: PendingObject, completion: Completion, done: Callable[[], None]) -> None:
        logs.request_id.set(pending.request_id)
        try:
            self.wait(pending, completion)
        except (UploadTaken, StorageError, DatabaseError):
            logger.debug("completion ended", exc_info=True)
        except Exception:
            logger.exception("completion broke")
        finally:
            del self._held[pending.id]
            done()

    def wait(self, pending: PendingObject, completion: Completion) -> None:
        """Wait for the object and queue its job.

        :raises UploadTaken: when the job was cancelled or queued meanwhile.
        :raises UploadLost: when the storage has lost the upload; the job has failed.
        :raises StorageError, DatabaseError: when the row is left to the workers.
        """
        log = {"job_id": str(pending.id), "object": pending.object_key}
        logger.info("upload completing", extra={**log, "bytes": pending.size_bytes})
        try:
            while (stored := completion.wait(BEAT_SECONDS)) is None:
                self._beat(pending)
            self.queue(pending, stored)
        except UploadTaken:
            # A worker may have queued it, and then the object is needed: the sweep decides.
            completion.release()
            logger.info("upload is somebody else's", extra=log)
            raise
        except UploadLost as error:
            self.fail(pending, error)
            raise
        except StorageError as error:
            completion.release()
            logger.warning("upload not completed", extra={**log, "code": error.code, "error": error.message})
            self._beat(pending, f"{error.code}: {error.message}")
            raise

    def queue(self, pending: PendingObject, stored: StoredObject) -> None:
        """:raises UploadTaken: when the job was cancelled or is queued already."""
        with self._connect() as connection:
            uploads.guarded(connection, "jobs/queue_completed", pending.id, {"object_etag": stored.etag})
        logger.info("job queued", extra={"job_id": str(pending.id), "bytes": pending.size_bytes})

    def fail(self, pending: PendingObject, error: UploadLost) -> None:
        """:raises UploadTaken: when the job was cancelled."""
        logger.warning("upload lost", extra={"job_id": str(pending.id), "error": error.message})
        with self._connect() as connection:
            values = {"error": f"{error.code}: {error.message}"}
            uploads.guarded(connection, "jobs/fail_completion", pending.id, values)

    def _beat(self, pending: PendingObject, error: str | None = None) -> None:
        # A database that does not answer must not end the wait.
        try:
            with self._connect() as connection:
                uploads.beat(connection, pending.id, pending.size_bytes, pending.upload_url, error)
        except DatabaseError as failure:
            log = {"job_id": str(pending.id), "code": failure.code}
            logger.warning("upload heartbeat missed", extra=log)
