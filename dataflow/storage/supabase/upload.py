"""A body of any length into one object. Which request comes next is said by `tus`.

A chunk is whole before any of it is sent, because every running PATCH holds one of the storage's own database
connections (contract section 0.4), and a slow client must not.
"""

import json
import logging
import time
from base64 import b64encode
from datetime import datetime

from dataflow.errors import ObjectMissing, ObjectTooLarge, StorageUnavailable, UploadLost
from dataflow.storage.base import Began, Completion, Description, StoredObject
from dataflow.storage.messages import Answer, Request
from dataflow.storage.retry import Retries
from dataflow.storage.stop import Stop
from dataflow.storage.supabase.api import NotConnected
from dataflow.storage.supabase.bucket import Bucket
from dataflow.storage.supabase.completion import HOLD_SECONDS, HeldRequest, SupabaseCompletion
from dataflow.storage.tus import OffsetConflict, TusUpload, inquiry

logger = logging.getLogger(__name__)

#: For sending a body that the server may have refused already and does not read (contract section 0.5).
STANDARD_SEND_SECONDS = 5.0
LEAST_END_SECONDS = 3.0  #: for the last chunk, when the one before has used up the time for both
INQUIRY_SECONDS = 4.0  #: a PATCH that still runs is ended first, in about 3 s
FIRST_CONNECTION_SECONDS = 9.0  #: a storage that is down is told within 10 s
PROGRESS_SECONDS = 10.0


class SupabaseUpload:
    """An `Upload`; `began` is told each address that it gets."""

    def __init__(self, bucket: Bucket, key: str, tus: TusUpload, stop: Stop | None, began: Began | None = None) -> None:
        self._bucket = bucket
        self._key = key
        self._tus = tus
        self._stop = stop
        self._began = began or (lambda _: None)
        self._held: HeldRequest | None = None  #: the last PATCH, when the server has every byte and takes its time
        self._next_progress = time.monotonic() + PROGRESS_SECONDS
        self._end_seconds = bucket.schedule.last_chunk_seconds  #: left for what is sent after the client's last byte
        #: Until a request has reached the server.
        self._first = None if tus.id else bucket.retries(stop, FIRST_CONNECTION_SECONDS)

    @property
    def address(self) -> str:
        return self._tus.path

    @property
    def offset(self) -> int:
        return self._tus.offset

    @property
    def expires_at(self) -> datetime | None:
        return self._tus.expires_at

    def create(self) -> None:
        """Have the server open it; from now on it does not begin again under another address."""
        self._send(b"", is_last=False)
        self._tus.creation = None

    def append(self, chunk: bytes | memoryview, is_awaited: bool = False) -> int:
        if chunk:
            self._send(chunk, is_last=False, is_awaited=is_awaited)
        return self.offset

    def finish(
        self, chunk: bytes | memoryview = b"", description: Description | None = None
    ) -> StoredObject | Completion:
        """With a `description`, `chunk` is the whole, and may go as one request."""
        tus, retries = self._tus, self._bucket.retries(self._stop)
        if chunk or tus.offset != tus.size_bytes:
            retries = self._send(chunk, is_last=True, description=description)
        if self._held is None:
            try:
                return self._bucket.whole(self._key, self.offset, retries, self._stop)
            except UploadLost as error:
                # Its bytes are all there, but it is not registered, which an empty PATCH makes good.
                if tus.is_complete or not isinstance(error.__cause__, ObjectMissing):
                    raise
        return SupabaseCompletion(self._bucket, self._key, self.address, self.offset, self._held)

    def _send(
        self,
        chunk: bytes | memoryview,
        is_last: bool,
        description: Description | None = None,
        is_awaited: bool = False,
    ) -> Retries:
        """Send a chunk; return what is left of the patience.

        While the last chunk but one is sent, the rest of the body may be in the sockets, and its sender wait for the
        answer: where the length is known, both share the time there is for the end.
        """
        tus, start = self._tus, time.monotonic()
        tus.load(chunk, is_last)
        tried_bytes = tus.offset + len(chunk)
        whole_bytes = tus.size_bytes or tried_bytes
        is_near_end = is_last or is_awaited or (tus.size_bytes is not None and whole_bytes - tried_bytes <= len(chunk))
        seconds = self._end_seconds if is_near_end else self._bucket.schedule.chunk_seconds
        retries = self._bucket.retries(self._stop, seconds)
        try:
            if description is None or not self._send_single(chunk, description, retries):
                self._exchange_all(retries)
        except ObjectTooLarge as error:
            raise self._bucket.with_limit(error, whole_bytes) from error
        if is_near_end:
            self._end_seconds = max(LEAST_END_SECONDS, self._end_seconds - (time.monotonic() - start))
        return retries

    def _send_single(self, chunk: bytes | memoryview, description: Description, retries: Retries) -> bool:
        """One request for a small object; False when it has to be tried by tus.

        There an early refusal is heard with its reason; here the server stops reading, and the sender hangs.
        """
        headers = {
            "Content-Type": description.content_type,
            "Cache-Control": f"max-age={self._bucket.cache_seconds}",
            "x-upsert": "true",
            "x-metadata": b64encode(json.dumps(description.metadata).encode()).decode(),
        }
        api = self._bucket.api
        request = Request("upload", "POST", api.object_path("", self._key), headers, memoryview(chunk))
        try:
            answer = api.exchange(request, retries.attempt_seconds, self._stop, STANDARD_SEND_SECONDS)
            if not answer.is_success:
                raise answer.error(api.bucket)
        except StorageUnavailable as error:
            if not isinstance(error, NotConnected):
                self._first = None
                self._began(None)
            api.pause(self._patience(error, retries), error, request.operation, self._key)
            return False
        self._began(None)
        self._tus.note_object(len(chunk))
        self._count(0)
        return True

    def _exchange_all(self, retries: Retries) -> None:
        tus = self._tus
        while self._held is None and (request := tus.next()):
            retries.check()
            before, upload_id = tus.offset, tus.id
            try:
                if answer := self._exchange(request, retries):
                    self._first = None
                    tus.take(request, answer)
            except OffsetConflict:
                raise
            except StorageUnavailable as error:
                self._bucket.api.pause(self._patience(error, retries), error, request.operation, self._key, before)
            if tus.id not in (None, upload_id):
                self._began(tus.path)
            if tus.offset > before:
                self._count(before)
                retries.succeeded()

    def _patience(self, error: StorageUnavailable, retries: Retries) -> Retries:
        return (isinstance(error, NotConnected) and self._first) or retries

    def _exchange(self, request: Request, retries: Retries) -> Answer | None:
        """None when the server has every byte and is still making the object: then `_held` is set."""
        try:
            if not self._tus.is_ending(request):
                return self._bucket.api.exchange(request, retries.attempt_seconds, self._stop)
            held = HeldRequest(self._bucket.api, request, HOLD_SECONDS, Stop())
            with (self._stop or Stop()).cutting(held):
                return self._ending(held, retries)
        except StorageUnavailable:
            self._tus.lose()
            raise

    def _ending(self, held: HeldRequest, retries: Retries) -> Answer | None:
        attempt_seconds = retries.attempt_seconds
        if answer := held.answer(attempt_seconds):
            return answer
        # This disturbs a PATCH only as long as bytes are missing.
        if self._has_every_byte(retries):
            if answer := held.answer(retries.left_seconds):
                return answer
            self._held = held
            return None
        if answer := held.answer(0.0):
            return answer
        held.cut()
        raise StorageUnavailable(f"The storage does not answer: timed out after {attempt_seconds:.1f} s.")

    def _has_every_byte(self, retries: Retries) -> bool:
        request, seconds = inquiry(self._tus.path), min(INQUIRY_SECONDS, retries.attempt_seconds)
        try:
            answer = self._bucket.api.exchange(request, seconds, self._stop)
        except StorageUnavailable:
            return False
        if is_whole := self._tus.is_whole_at(answer):
            self._tus.lose()
            self._tus.take(request, answer)
        return is_whole

    def _count(self, before: int) -> None:
        self._bucket.api.observer.moved("up", self.offset - before)
        if time.monotonic() >= self._next_progress:
            self._next_progress = time.monotonic() + PROGRESS_SECONDS
            logger.info("upload progress", extra={"object": self._key, "bytes": self.offset})
