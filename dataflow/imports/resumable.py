"""Uploads that come in several requests (tus): they are begun, found, held by one request at a time, and ended.

The storage alone knows how far an upload is; the row of its job says what else there is to know. What one request adds
is `resumable_session`.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol
from uuid import UUID, uuid4

from dataflow.config import Config
from dataflow.db import Pool, borrowed, borrowed_once
from dataflow.errors import DatabaseError, DataFlowError, RequestError, UploadGone, UploadLocked, UploadTaken
from dataflow.formats.registry import by_media_type
from dataflow.ids import uuid7
from dataflow.imports.completion import Completions
from dataflow.imports.idempotency import NO_KEY, Claim
from dataflow.imports.resumable_session import Resources, ResumableSession
from dataflow.imports.upload import Upload
from dataflow.imports.upload_holds import UploadHolds
from dataflow.queue import resumable_uploads
from dataflow.queue.resumable_uploads import UploadRow
from dataflow.queue.scope import ALL, Scope
from dataflow.storage.base import Description, Storage
from dataflow.storage.stop import Stop

logger = logging.getLogger(__name__)

HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class ResumableUpload:
    """What a client may know of an upload."""

    job_id: UUID
    state: str  #: `uploading`, `completing` while the storage makes the object, then that of the job
    offset: int
    length: int | None
    metadata: str | None
    expires_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.state == "uploading"

    @classmethod
    def of(cls, row: UploadRow) -> "ResumableUpload":
        is_complete = row.bytes_total is not None
        state = "completing" if is_complete and row.state == "uploading" else row.state
        offset = row.bytes_done if row.bytes_total is None else row.bytes_total
        return cls(row.id, state, offset, row.length, row.metadata, row.expires_at)


class NewUpload(Protocol):
    """What its client declares of an upload as it begins it."""

    @property
    def length(self) -> int | None: ...

    @property
    def metadata(self) -> str:
        """As sent."""


class ResumableUploads:
    """Of one web process; used by all of its threads."""

    def __init__(self, config: Config, pool: Pool, storage: Storage, completions: Completions) -> None:
        self._config = config
        self._connect = partial(borrowed, pool)
        self._holds = UploadHolds(partial(borrowed_once, pool))
        self._shared = Resources(config, self._connect, storage, completions, self._holds)

    def find(self, job_id: UUID, scope: Scope) -> ResumableUpload:
        """As its row has it; the storage is not asked.

        :raises RequestError: upload_not_found.
        :raises UploadGone: when it has expired, was ended, or is lost.
        """
        with self._connect() as connection:
            row = resumable_uploads.find(connection, job_id, scope)
        if row is None:
            raise RequestError(f"There is no upload {job_id}.", code="upload_not_found")
        if row.bytes_total is None:
            _require_open(row)
        return ResumableUpload.of(row)

    @contextmanager
    def created(
        self, upload: Upload, wanted: NewUpload, evict: Callable[[], None], claim: Claim = NO_KEY
    ) -> Iterator[ResumableSession]:
        """A new upload, open in the storage and held while the context lasts; when that raises nothing is left.

        :raises DatabaseError: before anything is stored.
        :raises StorageError, ObjectTooLarge, UnsupportedMediaType: when the storage does not begin it.
        :raises KeyTaken: when another request has its Idempotency-Key now.
        """
        with self._connect() as connection:
            row = resumable_uploads.insert(connection, self._first_values(upload, wanted))
            claim.link(connection, row.id)
        hold = self._holds.hold(row, evict)
        session = ResumableSession(self._shared, hold, upload.stop)
        try:
            session.open(_description(row, self._config.upload_default_content_type), claim)
            logger.info("upload begun", extra={"job_id": str(row.id), "bytes": row.length, "type": row.content_type})
            with self._explained(row.id):
                yield session
        except DataFlowError as error:
            # Its client does not know where it is. But the job may be queued when only the answer to that was lost.
            if row.state == "uploading" and not (hold.is_final and isinstance(error, DatabaseError)):
                session.discard()
            raise
        finally:
            self._holds.release(hold)

    @contextmanager
    def held(
        self, job_id: UUID, scope: Scope, evict: Callable[[], None], stop: Stop
    ) -> Iterator[ResumableSession | ResumableUpload]:
        """An open upload, held while the context lasts; or one that has all of its bytes, as it is.

        :raises RequestError: upload_not_found.
        :raises UploadGone: when it has expired, was ended, or is lost.
        :raises UploadLocked: when another request does not let go of it in time.
        """
        hold = self._holds.take(job_id, scope, evict)
        if hold is None:
            found = self.find(job_id, scope)
            if found.is_open:
                raise UploadLocked("The upload was just being changed. Try again.")
            yield found
            return
        try:
            with self._explained(job_id):
                yield ResumableSession(self._shared, hold, stop)
        finally:
            self._holds.release(hold)

    @contextmanager
    def _explained(self, job_id: UUID) -> Iterator[None]:
        """:raises UploadGone, UploadLocked: for UploadTaken."""
        try:
            yield
        except UploadTaken as error:
            self.find(job_id, ALL)
            raise UploadLocked("Another request has taken this upload over. Ask for the offset.") from error

    def _first_values(self, upload: Upload, wanted: NewUpload) -> dict[str, object]:
        job_id, declared = uuid7(), by_media_type(upload.media_type)
        return {
            "id": job_id,
            "source": upload.source,
            "file_name": upload.file_name,
            "object_key": f"{job_id}.{declared.name if declared else 'bin'}",
            "content_type": upload.media_type or None,
            "options": upload.options().as_json(),
            "request_id": upload.request_id,
            "created_by": upload.created_by,
            "holder": f"web/{uuid4().hex}",
            "expires_seconds": self._config.upload_expires_hours * HOUR_SECONDS,
            "length": wanted.length,
            "metadata": wanted.metadata or None,
        }


def _require_open(row: UploadRow) -> None:
    if row.state != "uploading":
        reason = (row.error or "").partition(": ")[2] or "It was cancelled."
        raise UploadGone(f"The upload {row.id} is not open any more. {reason}")
    if row.is_expired:
        raise UploadGone(f"The upload {row.id} has expired. Begin a new one.")


def _description(row: UploadRow, default_type: str) -> Description:
    content_type = row.content_type or default_type
    metadata = {"jobId": str(row.id), "contentType": content_type}
    if row.file_name:
        metadata["fileName"] = row.file_name
    return Description(content_type, metadata, row.length, is_resumable=True)
