"""A request body becomes a stored object and a queued job, or leaves nothing behind.

Memory is bounded by a piece whatever the size, and no database connection is held while a body is read. How the
bytes come out of HTTP is left to `web`, what the rows are worth to the worker; only the rows of a JSON body are
checked here, while they pass.
"""

import hashlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import UUID

from dataflow import contacts, jobs, retention
from dataflow.config import Config
from dataflow.db import Pool, borrowed
from dataflow.door import JsonDoor
from dataflow.errors import DatabaseError, NoContacts, StorageError, UploadTaken
from dataflow.formats import FORMATS, by_media_type, recognise
from dataflow.ids import uuid7
from dataflow.storage import Description, Storage, StoredObject

logger = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
#: How much of the content is looked at to recognise its format.
HEAD_BYTES = 16 * 1024


@dataclass(slots=True)
class Arrival:
    """A body on its way in. A multipart body fills in its fields while `pieces` is read; they count at its end.

    `pieces` raises a RequestError when the client goes away, stalls, or sends what cannot be served.
    """

    pieces: Iterator[bytes]
    media_type: str  #: declared for the content, lower case, without parameters
    size_bytes: int | None = None  #: of the content, when the client has declared it
    source: str | None = None
    file_name: str | None = None
    use_resumable: bool | None = None
    on_invalid: str | None = None
    is_json_body: bool = False  #: the request itself is the JSON: validated at the door
    request_id: str | None = None

    def options(self) -> dict[str, Any]:
        """What the job remembers of the client's wishes, defaults filled in."""
        on_invalid = self.on_invalid or ("abort" if self.is_json_body else "skip")
        return {"onInvalid": on_invalid, "useResumable": bool(self.use_resumable)}


class Intake:
    """Receives bodies; one per web process, used by all of its threads."""

    def __init__(self, config: Config, pool: Pool, storage: Storage) -> None:
        self._config = config
        self._pool = pool
        self._storage = storage

    def receive(self, arrival: Arrival) -> UUID:
        """Store the body and queue its job; return the job's id.

        :raises DatabaseUnavailable: before the first byte is read, when the job cannot be written down.
        :raises RequestError, InputError: for a body that is refused; neither object nor row is left.
        :raises StorageError: when the body cannot be stored.
        :raises UploadTaken: when the job was cancelled meanwhile.
        """
        receipt = _Receipt(self, arrival, uuid7())
        with borrowed(self._pool) as connection:
            jobs.insert_upload(connection, receipt.first_values())
        logger.info("upload started", extra={"job_id": str(receipt.job_id), "type": arrival.media_type})
        try:
            stored = self._storage.put(receipt.key, receipt.pieces(), receipt.describe, receipt.note_begin)
        except BaseException:
            self._give_up(receipt)
            raise
        receipt.note_stored()
        self._queue(receipt, stored)
        return receipt.job_id

    def _queue(self, receipt: "_Receipt", stored: StoredObject) -> None:
        try:
            with borrowed(self._pool) as connection:
                jobs.queue_upload(connection, receipt.job_id, receipt.final_values(stored))
        except UploadTaken:
            # The guarded statement has committed without a row, so nobody else needs the object.
            self._note_taken(receipt.job_id, is_gone=self._discard_object(receipt))
            raise
        # Any other error leaves open whether the job is queued: row and object stay, for the sweep to decide.
        logger.info(
            "job queued",
            extra={"job_id": str(receipt.job_id), "bytes": receipt.size_bytes, "format": receipt.format_name},
        )

    def _give_up(self, receipt: "_Receipt") -> None:
        """Leave nothing of a request that failed, or else the row that shows what the storage may have of it.

        :raises UploadTaken: when the job was cancelled meanwhile. That is the answer then, whatever else went wrong:
            a storage from which somebody else has removed the upload is to be expected.
        """
        job_id, is_gone = receipt.job_id, self._discard_object(receipt)
        try:
            with borrowed(self._pool) as connection:
                if is_gone:
                    jobs.discard_upload(connection, job_id)
                    logger.info("upload discarded", extra={"job_id": str(job_id)})
                else:
                    jobs.beat_upload(connection, job_id, receipt.size_bytes, receipt.upload_url)
        except UploadTaken:
            self._note_taken(job_id, is_gone)
            raise
        except DatabaseError as error:
            logger.warning("upload row not discarded", extra={"job_id": str(job_id), "code": error.code})

    def _discard_object(self, receipt: "_Receipt") -> bool:
        """Remove what may be stored of a body; False when some may be left or still come, and the row must show it."""
        if not receipt.may_be_stored:
            return True
        try:
            self._storage.discard(receipt.key, receipt.upload_url)
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

    def beat(self, job_id: UUID, size_bytes: int, upload_url: str | None) -> None:
        """Keep an upload's row alive; a database that does not answer must not end the upload.

        :raises UploadTaken: when the job was cancelled.
        """
        try:
            with borrowed(self._pool) as connection:
                jobs.beat_upload(connection, job_id, size_bytes, upload_url)
        except DatabaseError as error:
            logger.warning("upload heartbeat missed", extra={"job_id": str(job_id), "code": error.code})

    @property
    def default_content_type(self) -> str:
        return self._config.upload_default_content_type

    def open_door(self, arrival: Arrival) -> JsonDoor | None:
        """The check that the body's rows have to pass here, None when they are left to the worker."""
        if not arrival.is_json_body:
            return None
        # Asking for bad rows to be skipped leaves their verdict to the worker.
        return JsonDoor(self._config.max_row_bytes, judges_rows=arrival.on_invalid != "skip")


class _Receipt:
    """The books of one upload: counted, hashed, recognised and checked while the pieces pass."""

    def __init__(self, intake: Intake, arrival: Arrival, job_id: UUID) -> None:
        self._intake = intake
        self._arrival = arrival
        self._digest = hashlib.sha256()
        self._door = intake.open_door(arrival)
        self.job_id = job_id
        declared = by_media_type(arrival.media_type)
        self.key = f"{job_id}.{declared.name if declared else 'bin'}"
        self.format_name = ""
        self.size_bytes = 0
        self.may_be_stored = False
        self.is_in_doubt = False  #: a request whose answer was lost may store the object later than we remove it
        self.upload_url: str | None = None

    def pieces(self) -> Iterator[bytes]:
        """The body for the storage; raises at its end what can only be known there."""
        for piece in self._recognised(self._alive(self._arrival.pieces)):
            self.size_bytes += len(piece)
            self._digest.update(piece)
            if self._door:
                self._door.feed(piece)
            yield piece
        arrival = self._arrival
        if self._door:
            found = self._door.close(arrival.source)
            arrival.source = found.source
            arrival.use_resumable = found.use_resumable if arrival.use_resumable is None else arrival.use_resumable
            arrival.on_invalid = arrival.on_invalid or found.on_invalid
        else:
            arrival.source = contacts.check_source(arrival.source)

    def _alive(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The same pieces; shows by time, not by bytes, that they are still coming."""
        received, next_beat = 0, time.monotonic() + BEAT_SECONDS
        for piece in pieces:
            received += len(piece)
            if time.monotonic() >= next_beat:
                self._intake.beat(self.job_id, received, self.upload_url)
                next_beat = time.monotonic() + BEAT_SECONDS
            yield piece

    def _recognised(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        head: list[bytes] = []
        while sum(map(len, head)) < HEAD_BYTES and (piece := next(pieces, b"")):
            head.append(piece)
        content = b"".join(head)
        if not content:
            raise NoContacts("The body is empty: there is nothing to import.")
        arrival = self._arrival
        known = FORMATS["json"] if self._door else recognise(content, arrival.media_type, arrival.file_name)
        self.format_name = known.name
        return chain([content], pieces)

    def describe(self) -> Description:
        """The object, as far as the beginning of its content tells: a form names its file in there."""
        arrival = self._arrival
        content_type = arrival.media_type or self._intake.default_content_type
        # Never the source: it may come after the file.
        metadata = {"jobId": str(self.job_id), "contentType": content_type}
        if arrival.file_name:
            metadata["fileName"] = arrival.file_name
        return Description(content_type, metadata, arrival.size_bytes, bool(arrival.use_resumable))

    def note_begin(self, url: str | None) -> None:
        """Write down where an upload is open, so that it can be removed if we are not there to do it."""
        self.may_be_stored = True
        if url is None:
            self.is_in_doubt = True
        else:
            self.upload_url = url
            self._intake.beat(self.job_id, self.size_bytes, url)

    def note_stored(self) -> None:
        """All of it is stored. The answer to a single request ends the doubt, that to an upload after it does not."""
        self.may_be_stored = True
        self.is_in_doubt = self.is_in_doubt and self.upload_url is not None

    def first_values(self) -> dict[str, Any]:
        """The row while the body arrives; the source may come after the file."""
        return {
            "id": self.job_id,
            "object_key": self.key,
            "source": self._arrival.source,
            "file_name": self._arrival.file_name,
            "content_type": self._arrival.media_type,
            "options": self._arrival.options(),
            "request_id": self._arrival.request_id,
        }

    def final_values(self, stored: StoredObject) -> dict[str, Any]:
        """The row of the complete upload."""
        return {
            "source": self._arrival.source,
            "file_name": self._arrival.file_name,
            "content_type": self._arrival.media_type,
            "format": self.format_name,
            "options": self._arrival.options(),
            "bytes_total": self.size_bytes,
            "object_etag": stored.etag,
            "digests": [[self.size_bytes, self._digest.hexdigest()]],
        }
