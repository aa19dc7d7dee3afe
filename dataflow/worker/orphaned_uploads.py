"""Takes over uploads of which the storage has every byte, and whose web process is gone before they were objects.

Waiting for the objects is left to `imports.completion`.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dataflow import db
from dataflow.config import Config
from dataflow.db import Connection
from dataflow.db.kept_connection import KeptConnection
from dataflow.errors import DataFlowError, StorageError, UploadLost, UploadTaken
from dataflow.imports import completion
from dataflow.imports.completion import Completions, PendingObject
from dataflow.storage.base import Storage, StoredObject, complete

logger = logging.getLogger(__name__)

EVERY_SECONDS = 20.0
SILENT_SECONDS = 60.0  #: a web process that lives beats every few seconds
STATEMENT_SECONDS = 10.0
MAX_HELD = 4  #: each has a connection to the storage


class OrphanedUploads:
    """Looks at its start, then every EVERY_SECONDS; with `once` at its start alone. `wake` is called at each end."""

    def __init__(self, config: Config, storage: Storage, role: str, wake: Callable[[], None]) -> None:
        self.connection = KeptConnection(config.database_url, role)
        self._storage = storage
        self._wake = wake
        self._completions = Completions(self._use, MAX_HELD)
        self._stopping = threading.Event()
        self._is_looking = False

    def __bool__(self) -> bool:
        return self._is_looking or len(self._completions) > 0

    def start(self, once: bool) -> None:
        self._is_looking = True
        threading.Thread(target=self._run, args=(once,), name="orphaned-uploads", daemon=True).start()

    def stop(self) -> None:
        """Take over nothing more; what was taken over goes on until `release`."""
        self._stopping.set()

    def release(self) -> None:
        self._completions.release()

    def _run(self, once: bool) -> None:
        while True:
            self._is_looking = True
            try:
                self.look()
            except DataFlowError as error:
                logger.warning("uploads not looked at", extra={"code": error.code, "error": error.message})
            except Exception:
                logger.exception("looking for orphaned uploads broke")
            self._is_looking = False
            self._wake()
            if once or self._stopping.wait(EVERY_SECONDS):
                return

    def look(self) -> None:
        """:raises DatabaseError: when the database does not answer."""
        while self._completions.has_room() and not self._stopping.is_set():
            with self._use() as connection:
                pending = completion.claim_orphan(connection, SILENT_SECONDS)
            if pending is None:
                return
            logger.warning("upload taken over", extra={"job_id": str(pending.id), "object": pending.object_key})
            try:
                self._take(pending)
            except UploadTaken:
                logger.info("upload is somebody else's", extra={"job_id": str(pending.id)})

    def _take(self, pending: PendingObject) -> None:
        try:
            found = complete(self._storage, pending.object_key, pending.upload_url, pending.size_bytes)
        except UploadLost as error:
            self._completions.fail(pending, error)
        except StorageError as error:
            # The row falls silent again, and is looked at then.
            logger.warning("upload not looked at", extra={"job_id": str(pending.id), "error": error.message})
        else:
            if isinstance(found, StoredObject):
                self._completions.queue(pending, found)
            else:
                self._completions.start(pending, found, self._wake)

    @contextmanager
    def _use(self) -> Iterator[Connection]:
        with db.translated(), self.connection.use() as connection, db.limited(connection, STATEMENT_SECONDS):
            yield connection
