"""Takes over uploads that the storage has received whole and whose web process is gone before they were objects.

A thread of every worker, with a connection of its own. Waiting for the objects is left to `imports.completion`.
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
from dataflow.imports.completion import Completions, Received
from dataflow.storage.base import Storage, StoredObject, complete

logger = logging.getLogger(__name__)

EVERY_SECONDS = 20.0
#: A web process that lives beats every few seconds.
SILENT_SECONDS = 60.0
STATEMENT_SECONDS = 10.0
#: Each has a connection to the storage, and a moment of ours to the database at each beat.
MAX_HELD = 4


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
        """Whether something may still come of it."""
        return self._is_looking or len(self._completions) > 0

    def start(self, once: bool) -> None:
        self._is_looking = True
        threading.Thread(target=self._run, args=(once,), name="orphaned-uploads", daemon=True).start()

    def stop(self) -> None:
        """Nothing more is taken over; what was goes on until it is released."""
        self._stopping.set()

    def release(self) -> None:
        """Let go of what is not complete; another worker, or none, will find it there."""
        self._completions.release()

    def _run(self, once: bool) -> None:
        while True:
            self._is_looking = True
            try:
                self.look()
            except DataFlowError as error:
                logger.warning("uploads not looked at", extra={"code": error.code, "error": error.message})
            except Exception:
                # Whatever it is, there is a next round.
                logger.exception("looking for orphaned uploads broke")
            self._is_looking = False
            self._wake()
            if once or self._stopping.wait(EVERY_SECONDS):
                return

    def look(self) -> None:
        """Take over what is silent, for as long as there is room.

        :raises DatabaseError: when the database does not answer.
        """
        while self._completions.has_room() and not self._stopping.is_set():
            with self._use() as connection:
                received = completion.claim_orphan(connection, SILENT_SECONDS)
            if received is None:
                return
            logger.warning("upload taken over", extra={"job_id": str(received.id), "object": received.object_key})
            try:
                self._take(received)
            except UploadTaken:
                logger.info("upload is somebody else's", extra={"job_id": str(received.id)})

    def _take(self, received: Received) -> None:
        try:
            found = complete(self._storage, received.object_key, received.upload_url, received.size_bytes)
        except UploadLost as error:
            self._completions.fail(received, error)
        except StorageError as error:
            # The row falls silent again, and is looked at then.
            logger.warning("upload not looked at", extra={"job_id": str(received.id), "error": error.message})
        else:
            if isinstance(found, StoredObject):
                self._completions.queue(received, found)
            else:
                self._completions.start(received, found, self._wake)

    @contextmanager
    def _use(self) -> Iterator[Connection]:
        with db.translated(), self.connection.use() as connection, db.limited(connection, STATEMENT_SECONDS):
            yield connection
