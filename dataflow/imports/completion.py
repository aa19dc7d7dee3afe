"""Uploads that the storage has received and makes an object of: held on to, kept alive in their rows, then queued.

Used by the web process that received them, and by the workers for those whose web process is gone. Each has a thread of
its own, which the end of the process waits for: the connection it holds must not be closed earlier (see `storage`).
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

#: Lends a connection for a statement or two.
Connect = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Received:
    """An upload all of whose bytes are with the storage."""

    id: UUID
    object_key: str
    upload_url: str
    size_bytes: int
    request_id: str | None = None


def claim_orphan(connection: Connection, silent_seconds: float) -> Received | None:
    """An upload for whose object nobody has waited for `silent_seconds`; it is the caller's from here on."""
    row = connection.execute(query("jobs/claim_orphaned_upload"), {"silent_seconds": silent_seconds}).fetchone()
    return Received(**row) if row else None


class Completions:
    """Those that this process waits for, at most `limit` beside what callers wait for themselves."""

    def __init__(self, connect: Connect, limit: int) -> None:
        self._connect = connect
        self._limit = limit
        self._held: dict[UUID, Completion] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def has_room(self) -> bool:
        return len(self._held) < self._limit

    def start(self, received: Received, completion: Completion, done: Callable[[], None] = lambda: None) -> bool:
        """Wait for the object in the background, then queue its job; False when too many are waited for already."""
        with self._lock:
            if not self.has_room():
                return False
            self._held[received.id] = completion
        arguments = (received, completion, done)
        # No daemon: the interpreter ends when this has, or when the platform's grace is over.
        threading.Thread(target=self._run, args=arguments, name="completion", daemon=False).start()
        return True

    def release(self) -> None:
        """Let go of all, which may cost the uploads."""
        for completion in list(self._held.values()):
            completion.release()

    def _run(self, received: Received, completion: Completion, done: Callable[[], None]) -> None:
        logs.request_id.set(received.request_id)
        try:
            self.wait(received, completion)
        except (UploadTaken, StorageError, DatabaseError):
            logger.debug("completion ended", exc_info=True)
        except Exception:
            logger.exception("completion broke")
        finally:
            del self._held[received.id]
            done()

    def wait(self, received: Received, completion: Completion) -> None:
        """Wait for the object and queue its job.

        :raises UploadTaken: when the job was cancelled meanwhile, or somebody else has seen to it.
        :raises UploadLost: when the storage has lost the upload; the job has failed.
        :raises StorageError, DatabaseError: when the row is left to the workers.
        """
        log = {"job_id": str(received.id), "object": received.object_key}
        logger.info("upload completing", extra={**log, "bytes": received.size_bytes})
        try:
            while (stored := completion.wait(BEAT_SECONDS)) is None:
                self._beat(received)
            self.queue(received, stored)
        except UploadTaken:
            # Cancelled, or queued by a worker: then the object is needed. Its file is left to the sweep.
            completion.release()
            logger.info("upload is somebody else's", extra=log)
            raise
        except UploadLost as error:
            self.fail(received, error)
            raise
        except StorageError as error:
            completion.release()
            logger.warning("upload not completed", extra={**log, "code": error.code, "error": error.message})
            self._beat(received, f"{error.code}: {error.message}")
            raise

    def queue(self, received: Received, stored: StoredObject) -> None:
        """Queue the job of an upload whose object is there.

        :raises UploadTaken: when it was cancelled or is queued already.
        """
        with self._connect() as connection:
            uploads.guarded(connection, "jobs/queue_completed", received.id, {"object_etag": stored.etag})
        logger.info("job queued", extra={"job_id": str(received.id), "bytes": received.size_bytes})

    def fail(self, received: Received, error: UploadLost) -> None:
        """Settle the job of an upload that the storage has lost.

        :raises UploadTaken: when it was cancelled.
        """
        logger.warning("upload lost", extra={"job_id": str(received.id), "error": error.message})
        with self._connect() as connection:
            values = {"error": f"{error.code}: {error.message}"}
            uploads.guarded(connection, "jobs/fail_completion", received.id, values)

    def _beat(self, received: Received, error: str | None = None) -> None:
        """A database that does not answer must not end the wait.

        :raises UploadTaken: when the job is no longer uploading.
        """
        try:
            with self._connect() as connection:
                uploads.beat(connection, received.id, received.size_bytes, received.upload_url, error)
        except DatabaseError as failure:
            log = {"job_id": str(received.id), "code": failure.code}
            logger.warning("upload heartbeat missed", extra=log)
