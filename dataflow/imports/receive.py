"""A request body becomes a stored object and a queued job, or leaves nothing behind.

Memory is bounded by a piece whatever the size, and no database connection is held while a body is read. How the
bytes come out of HTTP is left to `web`, what the rows are worth to the worker; only the rows of a JSON body are
checked here, while they pass.
"""

import logging
from dataclasses import dataclass
from uuid import UUID

from dataflow.config import Config
from dataflow.db import Pool, borrowed
from dataflow.errors import DatabaseError, DataFlowError, StorageError, UploadTaken
from dataflow.imports.completion import Completions
from dataflow.imports.inspection import Receipt
from dataflow.imports.upload import Arrival
from dataflow.queue import retention, uploads
from dataflow.storage.base import Completion, Storage, StoredObject

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a body."""

    job_id: UUID
    is_queued: bool  #: if not, its object is still waited for


class Intake:
    """Receives bodies; one per web process, used by all of its threads."""

    def __init__(self, config: Config, pool: Pool, storage: Storage) -> None:
        self._config = config
        self._pool = pool
        self._storage = storage
        self._completions = Completions(lambda: borrowed(pool), config.max_uploads)

    def receive(self, arrival: Arrival) -> Taken:
        """Store the body and queue its job, or leave that to the background when the storage is slow to complete it.

        :raises DatabaseUnavailable: before the first byte is read, when the job cannot be written down.
        :raises RequestError, InputError: for a body that is refused; neither object nor row is left.
        :raises StorageError: when the body cannot be stored.
        :raises UploadTaken: when the job was cancelled meanwhile.
        """
        receipt = Receipt(self._config, arrival, self._beat)
        with borrowed(self._pool) as connection:
            uploads.insert(connection, receipt.first_values())
        logger.info("upload started", extra={"job_id": str(receipt.job_id), "type": arrival.media_type})
        try:
            stored = self._storage.put(
                receipt.key, receipt.pieces(), receipt.describe, receipt.note_begin, arrival.stop
            )
        except BaseException as error:
            self._give_up(receipt, error)
            raise
        receipt.note_stored()
        if isinstance(stored, StoredObject):
            self._queue(receipt, stored)
            return Taken(receipt.job_id, is_queued=True)
        return self._complete(receipt, stored)

    def _complete(self, receipt: Receipt, completion: Completion) -> Taken:
        """Write down what has arrived, and wait for its object behind the answer if there is room for that.

        :raises UploadTaken, StorageError: as `receive` does.
        """
        received = receipt.received()
        try:
            with borrowed(self._pool) as connection:
                uploads.note_received(connection, receipt.job_id, receipt.final_values())
        except (UploadTaken, DatabaseError) as error:
            # Whoever has the row does not know that all of it is there.
            completion.release()
            if isinstance(error, UploadTaken):
                self._note_taken(receipt.job_id, is_gone=self._discard_object(receipt))
            raise
        if self._completions.start(received, completion):
            return Taken(receipt.job_id, is_queued=False)
        self._completions.wait(received, completion)
        return Taken(receipt.job_id, is_queued=True)

    def _queue(self, receipt: Receipt, stored: StoredObject) -> None:
        try:
            with borrowed(self._pool) as connection:
                uploads.queue(connection, receipt.job_id, receipt.final_values(stored.etag))
        except UploadTaken:
            # The guarded statement has committed without a row, so nobody else needs the object.
            self._note_taken(receipt.job_id, is_gone=self._discard_object(receipt))
            raise
        # Any other error leaves open whether the job is queued: row and object stay, for the sweep to decide.
        logger.info(
            "job queued",
            extra={"job_id": str(receipt.job_id), "bytes": receipt.size_bytes, "format": receipt.format_name},
        )

    def _give_up(self, receipt: Receipt, cause: BaseException) -> None:
        """Leave nothing of a request that failed, or else the row that shows what the storage may have of it.

        :raises UploadTaken: when the job was cancelled meanwhile. That is the answer then, whatever else went wrong:
            a storage from which somebody else has removed the upload is to be expected.
        """
        job_id, is_gone = receipt.job_id, self._discard_object(receipt)
        try:
            with borrowed(self._pool) as connection:
                if is_gone:
                    uploads.discard(connection, job_id)
                    logger.info("upload discarded", extra={"job_id": str(job_id)})
                else:
                    reason = f"{cause.code}: {cause.message}" if isinstance(cause, DataFlowError) else None
                    uploads.beat(connection, job_id, receipt.size_bytes, receipt.upload_url, reason)
        except UploadTaken:
            self._note_taken(job_id, is_gone)
            raise
        except DatabaseError as error:
            logger.warning("upload row not discarded", extra={"job_id": str(job_id), "code": error.code})

    def _discard_object(self, receipt: Receipt) -> bool:
        """Remove what may be stored of a body; False when some may be left or still come, and the row must show it."""
        if not receipt.may_be_stored:
            return True
        try:
            self._storage.discard(receipt.key, receipt.upload_url, receipt.is_hurried)
        except StorageError as error:
            log = {"job_id": str(receipt.job_id), "object": receipt.key, "code": error.code, "error": error.message}
            logger.warning("upload not removed from the storage", extra=log)
            return False
        return not receipt.is_in_doubt

    def _note_taken(self, job_id: UUID, is_gone: bool) -> None:
        """Write down that the storage has nothing of a cancelled upload; else the sweep will see to it."""
        logger.info("upload was cancelled", extra={"job_id": str(job_id), "is_removed": is_gone})
        if not is_gone:
            return
        try:
            with borrowed(self._pool) as connection:
                retention.mark_object_deleted(connection, job_id)
        except DatabaseError as error:
            logger.warning("removal not marked", extra={"job_id": str(job_id), "code": error.code})

    def _beat(self, job_id: UUID, size_bytes: int, upload_url: str | None) -> None:
        """Keep an upload's row alive; a database that does not answer must not end the upload.

        :raises UploadTaken: when the job was cancelled.
        """
        try:
            with borrowed(self._pool) as connection:
                uploads.beat(connection, job_id, size_bytes, upload_url)
        except DatabaseError as error:
            logger.warning("upload heartbeat missed", extra={"job_id": str(job_id), "code": error.code})
