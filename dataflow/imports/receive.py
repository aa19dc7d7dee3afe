"""A request body becomes a stored object and a queued job, or leaves nothing behind.

Memory is bounded by a piece, and no database connection is held while a body is read.
"""

import logging
from dataclasses import dataclass
from uuid import UUID

from dataflow.config import Config
from dataflow.db import Pool, borrowed
from dataflow.errors import DatabaseError, DataFlowError, KeyTaken, StorageError, UploadTaken
from dataflow.imports.completion import Completions
from dataflow.imports.idempotency import NO_KEY, Claim
from dataflow.imports.upload import Upload
from dataflow.imports.upload_session import UploadSession
from dataflow.queue import retention, uploads
from dataflow.storage.base import Completion, Storage, StoredObject

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AcceptedUpload:
    job_id: UUID
    is_queued: bool  #: if not, its object is still waited for in the background


class Receiver:
    """Receives bodies; one per web process, used by all of its threads."""

    def __init__(self, config: Config, pool: Pool, storage: Storage, completions: Completions) -> None:
        self._config = config
        self._pool = pool
        self._storage = storage
        self._completions = completions

    def receive(self, upload: Upload, claim: Claim = NO_KEY) -> AcceptedUpload:
        """Store the body and queue its job; a storage that is slow to complete the object is waited for in background.

        :raises DatabaseUnavailable: before the first byte is read, when the row cannot be written.
        :raises RequestError, InputError: when the body is refused; neither object nor row is left.
        :raises StorageError: when the body cannot be stored.
        :raises UploadTaken: when the job was cancelled meanwhile.
        :raises KeyTaken: when another request has its Idempotency-Key now.
        """
        session = UploadSession(self._config, upload, self._beat)
        with borrowed(self._pool) as connection:
            uploads.insert(connection, session.first_values())
            claim.link(connection, session.job_id)
        logger.info("upload started", extra={"job_id": str(session.job_id), "type": upload.media_type})
        try:
            stored = self._storage.put(session.key, session.pieces(), session.describe, session.note_begin, upload.stop)
        except BaseException as error:
            self._give_up(session, error)
            raise
        session.note_stored()
        if isinstance(stored, StoredObject):
            self._queue(session, stored, claim)
            return AcceptedUpload(session.job_id, is_queued=True)
        return self._complete(session, stored, claim)

    def _complete(self, session: UploadSession, completion: Completion, claim: Claim) -> AcceptedUpload:
        """Wait for the object after the answer if there is room for that, else before."""
        pending, is_waited_for = session.pending_object(), not self._completions.has_room()
        try:
            with borrowed(self._pool) as connection:
                uploads.await_object(connection, session.job_id, session.final_values())
                claim.record(connection, session.job_id, is_waited_for, session.body_sha256)
        except (UploadTaken, KeyTaken, DatabaseError) as error:
            # Who has the row instead does not know that the body is complete.
            completion.release()
            self._lose(session, error)
            raise
        # The answer is what was recorded, also when another upload has taken the room meanwhile.
        if is_waited_for or not self._completions.start(pending, completion):
            self._completions.wait(pending, completion)
        return AcceptedUpload(session.job_id, is_waited_for)

    def _queue(self, session: UploadSession, stored: StoredObject, claim: Claim) -> None:
        try:
            with borrowed(self._pool) as connection:
                uploads.queue(connection, session.job_id, session.final_values(stored.etag))
                claim.record(connection, session.job_id, True, session.body_sha256)
        except (UploadTaken, KeyTaken) as error:
            self._lose(session, error)
            raise
        logger.info(
            "job queued",
            extra={"job_id": str(session.job_id), "bytes": session.size_bytes, "format": session.format_name},
        )

    def _lose(self, session: UploadSession, cause: DataFlowError) -> None:
        """Remove a complete body that will not be a job; after an error of the database it may be one."""
        if isinstance(cause, UploadTaken):
            # The guarded statement has committed without a row: nobody else needs the object.
            self._note_taken(session.job_id, is_gone=self._discard_object(session))
        elif isinstance(cause, KeyTaken):
            self._give_up(session, cause)
        # Else row and object stay, and the sweep decides.

    def _give_up(self, session: UploadSession, cause: BaseException) -> None:
        """Leave nothing of a request that failed, or else the row that shows what the storage may have of it.

        :raises UploadTaken: when the job was cancelled, which may be the cause: the upload is removed then.
        """
        job_id, is_gone = session.job_id, self._discard_object(session)
        try:
            with borrowed(self._pool) as connection:
                if is_gone:
                    uploads.discard(connection, job_id)
                    logger.info("upload discarded", extra={"job_id": str(job_id)})
                else:
                    reason = f"{cause.code}: {cause.message}" if isinstance(cause, DataFlowError) else None
                    uploads.beat(connection, job_id, session.size_bytes, session.upload_url, reason)
        except UploadTaken:
            self._note_taken(job_id, is_gone)
            raise
        except DatabaseError as error:
            logger.warning("upload row not discarded", extra={"job_id": str(job_id), "code": error.code})

    def _discard_object(self, session: UploadSession) -> bool:
        """Remove what may be stored of a body; False when some may be left, or still come after a lost answer."""
        if not session.may_be_stored:
            return True
        try:
            self._storage.discard(session.key, session.upload_url, session.is_hurried)
        except StorageError as error:
            log = {
                "job_id": str(session.job_id),
                "object": session.key,
                "code": error.code,
                "error": error.message,
            }
            logger.warning("upload not removed from the storage", extra=log)
            return False
        return not session.is_in_doubt

    def _note_taken(self, job_id: UUID, is_gone: bool) -> None:
        """Note that the object of a cancelled upload is gone; if it is not, the sweep removes it."""
        logger.info("upload was cancelled", extra={"job_id": str(job_id), "is_removed": is_gone})
        if not is_gone:
            return
        try:
            with borrowed(self._pool) as connection:
                retention.mark_object_deleted(connection, job_id)
        except DatabaseError as error:
            logger.warning("removal not marked", extra={"job_id": str(job_id), "code": error.code})

    def _beat(self, job_id: UUID, size_bytes: int, upload_url: str | None) -> None:
        """Show that an upload is alive. A database that does not answer must not end it.

        :raises UploadTaken: when the job was cancelled.
        """
        try:
            with borrowed(self._pool) as connection:
                uploads.beat(connection, job_id, size_bytes, upload_url)
        except DatabaseError as error:
            logger.warning("upload heartbeat missed", extra={"job_id": str(job_id), "code": error.code})
