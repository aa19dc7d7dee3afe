"""What one request does to an upload that it holds: how far it is, more bytes, its end, its removal."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NoReturn

from dataflow.config import Config
from dataflow.db import Connection
from dataflow.errors import DataFlowError, RequestError, StorageError, UploadGone, UploadLost
from dataflow.formats import gzip
from dataflow.formats.detect import LOOK_BYTES
from dataflow.imports import upload_digests
from dataflow.imports.completion import Completions, PendingObject
from dataflow.imports.idempotency import NO_KEY, Claim
from dataflow.imports.options import Options
from dataflow.imports.recognition import Beginning
from dataflow.imports.upload_body import Checksum, UploadBody
from dataflow.imports.upload_digests import BodyDigests
from dataflow.imports.upload_holds import Hold, UploadHolds
from dataflow.queue import resumable_uploads, retention
from dataflow.storage.base import Completion, Description, Storage, StoredObject
from dataflow.storage.base import Upload as StoredUpload
from dataflow.storage.chunks import chunks
from dataflow.storage.stop import Stop

logger = logging.getLogger(__name__)

#: A process that is killed takes so much of what was hashed with it, which is then not compared.
NOTE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Resources:
    """What the requests of one process share."""

    config: Config
    connect: Callable[[], AbstractContextManager[Connection]]  #: a connection in a transaction
    storage: Storage
    completions: Completions
    holds: UploadHolds


class ResumableSession:
    """Used by one request. `row` says how far the upload is, as the storage has acknowledged it."""

    def __init__(self, shared: Resources, hold: Hold, stop: Stop) -> None:
        self.row = hold.row
        self._config, self._connect, self._storage = shared.config, shared.connect, shared.storage
        self._completions, self._holds = shared.completions, shared.holds
        self._hold = hold
        self._stop = stop
        self._stored: StoredUpload | None = None
        self._next_note = time.monotonic() + NOTE_SECONDS

    def open(self, description: Description, claim: Claim = NO_KEY) -> None:
        """Begin it in the storage; raises like `Storage.begin`, and then leaves no row."""
        try:
            self._stored = self._storage.begin(self.row.object_key, description, self._stop)
            with self._connect() as connection:
                resumable_uploads.open_at(connection, self.row, self._stored.address, self._stored.expires_at)
                claim.record(connection, self.row.id, is_queued=False, body_sha256=None)
        except DataFlowError:
            self.discard()
            raise

    def measure(self) -> None:
        """Ask the storage how far it is; one that has all of its bytes becomes a job.

        :raises UploadGone: when the storage has lost it.
        """
        row = self.row
        try:
            if row.address is None:
                raise UploadLost("The upload was never begun in the storage.")
            self._stored = self._storage.resume(row.object_key, row.address, self._stop)
        except UploadLost as error:
            self._lose(error)
        row.bytes_done = self._stored.offset
        row.digests = upload_digests.known_to(row.digests, row.bytes_done)
        self._hold.is_noted = False
        if row.bytes_done == row.length:
            self._finish(b"")

    def declare_length(self, length: int) -> None:
        """:raises RequestError: when another one is known, or less than is there already."""
        if self.row.length not in (None, length) or length < self.row.bytes_done:
            raise RequestError(f"Upload-Length {length} is not the length declared before, or less than the offset.")
        self.row.length, self._hold.is_noted = length, False

    def append(self, pieces: Iterator[bytes], max_bytes: int, checksum: Checksum | None = None) -> None:
        """Store `pieces` behind the offset; the last byte of all makes it a job. 0 is no limit.

        What has come of a body that breaks off is stored, unless it has a `checksum`: then all or nothing is.

        :raises RequestError: upload_too_large beyond its length or `max_bytes`; whatever `pieces` raises.
        :raises RequestError: checksum_mismatch.
        :raises UploadLocked: when another request has taken it over; nothing is stored then.
        :raises UnsupportedMediaType, InputError: when its beginning cannot be imported; the upload is removed.
        :raises UploadGone: when the storage has lost it.
        :raises StorageError, DatabaseError: when it is not known how far it is now.
        """
        # What is verified has to be held as a whole.
        chunk_bytes = self._config.upload_chunk_size if checksum else self._storage.chunk_bytes
        row, digests = self.row, BodyDigests(chunk_bytes, self._config.upload_chunk_size)
        limits = [
            (row.length, "its Upload-Length"),
            (max_bytes or None, "the limit (MAX_UPLOAD_BYTES, or the token's)"),
        ]
        limit, what = min((each for each in limits if each[0] is not None), default=(None, ""))
        body = UploadBody(pieces, row.bytes_done, limit, what)
        try:
            for chunk, is_last in chunks(digests.passing(body.pieces()), chunk_bytes):
                if checksum:
                    body.check(checksum, chunk, is_last)
                self._store(chunk, digests.next(), is_last)
        except UploadLost as error:
            self._lose(error)
        body.raise_error()

    def discard(self) -> None:
        """Leave nothing of a refused upload; what the storage does not remove is the sweep's, once it has expired."""
        if self._remove_object():
            with self._connect() as connection:
                resumable_uploads.discard(connection, self.row)
            self.row.state = "discarded"
            self._holds.forget(self._hold)

    def end(self, state: str, reason: DataFlowError | None = None) -> None:
        """Have its job end, and remove what is stored of it."""
        error = f"{reason.code}: {reason.message}" if reason else "upload_gone: Its client has ended it."
        with self._connect() as connection:
            resumable_uploads.end(connection, self.row, state, error)
        self._holds.forget(self._hold)
        logger.info("upload ended", extra={"job_id": str(self.row.id), "state": state})
        if self._remove_object():
            with self._connect() as connection:
                retention.mark_object_deleted(connection, self.row.id)

    def _lose(self, error: UploadLost) -> NoReturn:
        self.end("failed", error)
        raise UploadGone(f"The storage has lost the upload {self.row.id}. Begin a new one.") from error

    def _store(self, chunk: memoryview, entry: tuple[int, str], is_last: bool) -> None:
        row, stored = self.row, self._stored
        assert stored is not None  # noqa: S101 - tells mypy that it was opened or measured
        self._holds.confirm(self._hold)
        is_end = row.bytes_done + len(chunk) == row.length
        if row.bytes_done == 0 and (is_end or len(chunk) >= LOOK_BYTES):
            self._recognise(chunk, is_end)
        if is_end:
            self._finish(chunk, entry)
        elif chunk:
            row.bytes_done = stored.append(chunk, is_awaited=is_last)
            row.digests = upload_digests.appended(row.digests, *entry, row.bytes_done)
            self._note_now_and_then()

    def _note_now_and_then(self) -> None:
        """At the end of the request the rest is written down."""
        self._hold.is_noted = False
        if time.monotonic() >= self._next_note:
            self._holds.note(self._hold)
            self._next_note = time.monotonic() + NOTE_SECONDS

    def _finish(self, chunk: bytes | memoryview, entry: tuple[int, str] = (0, "")) -> None:
        row, stored = self.row, self._stored
        assert stored is not None  # noqa: S101 - see `_store`
        self._hold.is_final = True
        made = stored.finish(chunk)
        if chunk:
            row.bytes_done += len(chunk)
            row.digests = upload_digests.appended(row.digests, *entry, row.bytes_done)
        row.length = row.bytes_total = row.bytes_done
        if not row.digests:
            row.digests = [[0, None]]
        if isinstance(made, StoredObject):
            with self._connect() as connection:
                resumable_uploads.queue(connection, row, made.etag)
            row.state = "queued"
            logger.info("job queued", extra={"job_id": str(row.id), "bytes": row.bytes_total, "format": row.format})
        else:
            self._await_object(made)
        self._holds.forget(self._hold)

    def _await_object(self, completion: Completion) -> None:
        """As `receive` does for a body of one request."""
        row = self.row
        pending = PendingObject(row.id, row.object_key, str(row.address), row.bytes_done, row.request_id)
        try:
            with self._connect() as connection:
                resumable_uploads.await_object(connection, row)
        except DataFlowError:
            completion.release()
            raise
        if not self._completions.start(pending, completion):
            self._completions.wait(pending, completion)
            row.state = "queued"

    def _recognise(self, chunk: memoryview, is_whole: bool) -> None:
        row, head = self.row, bytes(chunk[:LOOK_BYTES])
        if not head:
            return  # The worker has a word for an empty file.
        reading = Options.of(row.options).reading(self._config.max_row_bytes, self._config.max_expanded_bytes)
        try:
            beginning = Beginning.of(head, is_whole and len(chunk) < LOOK_BYTES, gzip.is_gzip(head))
            row.format = beginning.format_name(row.content_type or "", row.file_name, reading)
        except DataFlowError:
            self.discard()
            raise

    def _remove_object(self) -> bool:
        row = self.row
        try:
            self._storage.discard(row.object_key, row.address, self._stop.is_set())
        except StorageError as error:
            log = {"job_id": str(row.id), "object": row.object_key, "code": error.code}
            logger.warning("upload not removed from the storage", extra=log)
            return False
        return True
