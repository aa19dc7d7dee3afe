"""A body of any length into one object: filled into chunks first, then sent, each kept until it is acknowledged.

First filled, because every running PATCH holds one of the storage's own database connections (contract section 0.4),
and a slow client must not. Which request comes next is `tus`' to say.
"""

import json
import logging
import time
from base64 import b64encode
from collections.abc import Callable, Iterator

from dataflow.errors import StorageUnavailable
from dataflow.storage.base import Began, Describe, Description
from dataflow.storage.chunks import Chunk
from dataflow.storage.messages import Answer, Request
from dataflow.storage.retry import Retries, Schedule
from dataflow.storage.stop import Stop
from dataflow.storage.supabase.api import Api, NotConnected
from dataflow.storage.supabase.completion import HOLD_SECONDS, HeldRequest
from dataflow.storage.tus import TusUpload, inquiry

logger = logging.getLogger(__name__)

#: For sending a body that the server may have refused already and does not read (contract section 0.5).
STANDARD_SEND_SECONDS = 5.0
#: For the last chunk when the one before has used up the time for both.
LEAST_END_SECONDS = 3.0
#: To ask how far an upload is whose last PATCH is not answered; one that still receives is ended first, in about 3 s.
INQUIRY_SECONDS = 4.0
#: For the very first connection: with the rest of an answer's way, a storage that is down is told within 10 s.
FIRST_CONNECTION_SECONDS = 9.0
PROGRESS_SECONDS = 10.0


class Upload:
    """One object on its way into the bucket."""

    def __init__(self, api: Api, schedule: Schedule, key: str, cache_seconds: int, began: Began) -> None:
        self._api = api
        self._schedule = schedule
        self._key = key
        self._cache_seconds = cache_seconds
        self._began = began
        self._stop = Stop()
        self._wait: Callable[[float], object] | None = None  #: unless it is the schedule's
        self._next_progress = time.monotonic() + PROGRESS_SECONDS
        self._is_near_end = False
        self._end_seconds = schedule.last_chunk_seconds  #: left for what is sent after the client's last byte
        self.size_bytes = 0  #: of what the server has acknowledged
        self.tried_bytes = 0  #: the same, with the chunk that was being sent
        self.whole_bytes = 0  #: the same, or the length of the whole where that is known
        self.held: HeldRequest | None = None  #: the last PATCH, when the server has every byte and takes its time
        self.path = ""  #: of a tus upload
        self._first: Retries | None = None  #: the patience with a server that no request has reached yet

    def run(self, parts: Iterator[Chunk], describe: Describe, stop: Stop | None = None) -> Retries:
        """Send everything; return what is left of the patience after the last byte. With `held`, it is used up.

        :raises DataFlowError: when the server refuses, or the time is up.
        """
        if stop is not None:
            self._stop, self._wait = stop, stop.wait
        chunk, is_last = next(parts)
        description = describe()
        tus = TusUpload(self._api.bucket, self._key, description, self._cache_seconds)
        retries = self._patience(is_last, len(chunk), description.size_bytes)
        self._first = Retries(self._schedule, FIRST_CONNECTION_SECONDS, self._wait)
        if is_last and not description.is_resumable and self._send_whole(chunk, description, retries):
            return retries
        self._send_chunk(tus, chunk, is_last, retries)
        while not is_last:
            chunk, is_last = next(parts)
            retries = self._patience(is_last, len(chunk), description.size_bytes)
            self._send_chunk(tus, chunk, is_last, retries)
        return retries

    def _patience(self, is_last: bool, chunk_bytes: int, total_bytes: int | None) -> Retries:
        """For a chunk that has just been filled, so the client was heard a moment ago.

        What is left of a body may be in the sockets already, and its sender wait for the answer: where the length is
        known, the last chunk but one and the last share the time there is for the end.
        """
        self.tried_bytes = self.size_bytes + chunk_bytes
        self.whole_bytes = total_bytes or self.tried_bytes
        self._is_near_end = is_last or (total_bytes is not None and total_bytes - self.tried_bytes <= chunk_bytes)
        seconds = self._end_seconds if self._is_near_end else self._schedule.chunk_seconds
        return Retries(self._schedule, seconds, self._wait)

    def _send_whole(self, chunk: memoryview, description: Description, retries: Retries) -> bool:
        """One request for a small object; False when it has to be tried by tus.

        That hears the reason of an early refusal, where here the server stops reading and the sender hangs.
        """
        headers = {
            "Content-Type": description.content_type,
            "Cache-Control": f"max-age={self._cache_seconds}",
            "x-upsert": "true",
            "x-metadata": b64encode(json.dumps(description.metadata).encode()).decode(),
        }
        request = Request("upload", "POST", self._api.object_path("", self._key), headers, chunk)
        try:
            answer = self._api.exchange(request, retries.attempt_seconds, STANDARD_SEND_SECONDS, self._stop.lend)
            if not answer.is_success:
                raise answer.error(self._api.bucket)
        except NotConnected as error:
            self._api.pause(self._first or retries, error, request.operation, self._key)
            return False
        except StorageUnavailable as error:
            self._first = None
            self._began(None)
            self._api.pause(retries, error, request.operation, self._key)
            return False
        self._began(None)
        self._count(len(chunk), 0)
        return True

    def _send_chunk(self, tus: TusUpload, chunk: memoryview, is_last: bool, retries: Retries) -> None:
        """Exchange requests until the chunk is acknowledged."""
        start = time.monotonic()
        tus.load(chunk, is_last)
        while request := tus.next():
            retries.check()
            before, upload_id = tus.offset, tus.id
            try:
                answer = self._exchange(tus, request, retries)
                if answer is None:
                    return
                self._first = None
                tus.take(request, answer)
            except StorageUnavailable as error:
                tus.lose()
                patience = (isinstance(error, NotConnected) and self._first) or retries
                self._api.pause(patience, error, request.operation, self._key, self.size_bytes)
            if tus.id not in (None, upload_id):
                self.path = tus.path
                self._began(tus.path)
            if tus.offset > before:
                self._count(tus.offset, before)
                retries.succeeded()
        if self._is_near_end:
            self._end_seconds = max(LEAST_END_SECONDS, self._end_seconds - (time.monotonic() - start))

    def _exchange(self, tus: TusUpload, request: Request, retries: Retries) -> Answer | None:
        """The answer; None when it is only waited for because the server, which has every byte, makes the object.

        :raises StorageUnavailable: when there is none in time.
        """
        if not tus.is_ending(request):
            return self._api.exchange(request, retries.attempt_seconds, lend=self._stop.lend)
        held = HeldRequest(self._api, request, HOLD_SECONDS)
        self._stop.lend(held)
        try:
            return self._ending(tus, held, retries)
        finally:
            self._stop.lend(None)

    def _ending(self, tus: TusUpload, held: HeldRequest, retries: Retries) -> Answer | None:
        attempt_seconds = retries.attempt_seconds
        if answer := held.answer(attempt_seconds):
            return answer
        # This disturbs a PATCH only as long as bytes are missing.
        if self._has_every_byte(tus, retries):
            if answer := held.answer(retries.left_seconds):
                return answer
            self.held = held
            self._count(self.tried_bytes, self.size_bytes)
            return None
        if answer := held.answer(0.0):
            return answer
        held.cut()
        raise StorageUnavailable(f"The storage does not answer: timed out after {attempt_seconds:.1f} s.")

    def _has_every_byte(self, tus: TusUpload, retries: Retries) -> bool:
        seconds = min(INQUIRY_SECONDS, retries.attempt_seconds)
        try:
            return tus.is_whole_at(self._api.exchange(inquiry(tus.path), seconds, lend=self._stop.lend))
        except StorageUnavailable:
            # As far as can be told it has not; the PATCH is sent again.
            return False

    def _count(self, offset: int, before: int) -> None:
        self.size_bytes = offset
        self._api.observer.moved("up", offset - before)
        if time.monotonic() >= self._next_progress:
            self._next_progress = time.monotonic() + PROGRESS_SECONDS
            logger.info("upload progress", extra={"object": self._key, "bytes": offset})
