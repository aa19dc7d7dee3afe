"""One upload: the id and row of its job, its object, its size and digest, and that it is alive."""

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from dataflow.config import Config
from dataflow.formats.registry import by_media_type
from dataflow.ids import uuid7
from dataflow.imports.completion import PendingObject
from dataflow.imports.idempotency import body_sha256
from dataflow.imports.inspection import Inspection
from dataflow.imports.size_limit import SizeLimit
from dataflow.imports.upload import Upload
from dataflow.storage.base import Description

Beat = Callable[[UUID, int, str | None], None]

BEAT_SECONDS = 5.0


class UploadSession:
    """`beat` is called with the job's id, the size so far and the upload's address, to show that it is alive."""

    def __init__(self, config: Config, upload: Upload, beat: Beat) -> None:
        self.job_id = uuid7()
        self._config = config
        self._upload = upload
        self._beat = beat
        self._limit = SizeLimit.of(config.max_upload_bytes, upload.max_bytes)
        self._inspection = Inspection(config, upload, self._look_up)
        self._digest = hashlib.sha256()
        self._next_beat, self._incoming_bytes = 0.0, 0
        declared = by_media_type(upload.media_type)
        self.key = f"{self.job_id}.{declared.name if declared else 'bin'}"
        self.size_bytes = 0
        self.may_be_stored = False
        self.is_in_doubt = False  #: a request whose answer was lost may store the object later than we remove it
        self.upload_url: str | None = None

    @property
    def format_name(self) -> str:
        return self._inspection.format_name

    @property
    def is_hurried(self) -> bool:
        """Whether there is little time to remove what the upload has left behind."""
        return self._upload.stop.is_set()

    @property
    def body_sha256(self) -> str:
        return body_sha256(self._upload, self._digest.hexdigest())

    def pieces(self) -> Iterator[bytes]:
        """The body for the storage; raises what its inspection raises, and upload_too_large."""
        for piece in self._inspection.passing(self._alive(self._upload.pieces)):
            self.size_bytes += len(piece)
            self._digest.update(piece)
            yield piece

    def _alive(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        self._next_beat = time.monotonic() + BEAT_SECONDS
        for piece in pieces:
            self._incoming_bytes += len(piece)
            self._limit.check(self._incoming_bytes)
            if time.monotonic() >= self._next_beat:
                self._show_life()
            yield piece

    def _look_up(self) -> None:
        self._upload.check()
        self._show_life()

    def _show_life(self) -> None:
        self._beat(self.job_id, self._incoming_bytes, self.upload_url)
        self._next_beat = time.monotonic() + BEAT_SECONDS

    def describe(self) -> Description:
        """The object, as far as the beginning of its content tells: a form names its file in there."""
        upload = self._upload
        content_type = upload.media_type or self._config.upload_default_content_type
        # Never the source: it may come after the file.
        metadata = {"jobId": str(self.job_id), "contentType": content_type}
        if upload.file_name:
            metadata["fileName"] = upload.file_name
        return Description(content_type, metadata, upload.size_bytes, upload.options().use_resumable)

    def note_begin(self, url: str | None) -> None:
        """Write down where the upload is open, so that others can remove it."""
        self.may_be_stored = True
        if url is None:
            self.is_in_doubt = True
        else:
            self.upload_url = url
            self._beat(self.job_id, self.size_bytes, url)

    def note_stored(self) -> None:
        """All of it is stored. The answer to a single request ends the doubt, unless an upload has followed it."""
        self.may_be_stored = True
        self.is_in_doubt = self.is_in_doubt and self.upload_url is not None

    def first_values(self) -> dict[str, Any]:
        """The row while the body is received; the source may come after the file."""
        return {
            "id": self.job_id,
            "object_key": self.key,
            "source": self._upload.source,
            "file_name": self._upload.file_name,
            "content_type": self._upload.media_type or None,
            "options": self._upload.options().as_json(),
            "request_id": self._upload.request_id,
            "created_by": self._upload.created_by,
        }

    def pending_object(self) -> PendingObject:
        assert self.upload_url is not None  # noqa: S101 - tells mypy that only these take their time
        return PendingObject(self.job_id, self.key, self.upload_url, self.size_bytes, self._upload.request_id)

    def final_values(self, etag: str | None = None) -> dict[str, Any]:
        """The row once the upload is complete."""
        return {
            **self.first_values(),
            "format": self.format_name,
            "bytes_total": self.size_bytes,
            "object_etag": etag,
            "upload_url": self.upload_url,
            "digests": [[self.size_bytes, self._digest.hexdigest()]],
        }
