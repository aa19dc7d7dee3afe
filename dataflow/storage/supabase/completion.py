"""The end of a tus upload: the PATCH after whose last byte the server makes an object of it, which may take minutes.

A connection that is closed while the server is at that costs the whole upload (contract section 13). So the PATCH has a
thread of its own from its start, which holds on to it whoever else stops waiting; when it breaks all the same, an empty
one is sent at once.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from dataflow.errors import DataFlowError, ObjectMissing, StorageUnavailable, UploadLost
from dataflow.storage import tus
from dataflow.storage.base import StoredObject, check_size
from dataflow.storage.messages import Answer, Request
from dataflow.storage.stop import Stop
from dataflow.storage.supabase.api import Api
from dataflow.storage.supabase.bucket import Bucket

logger = logging.getLogger(__name__)

#: How long one upload is held on to.
HOLD_SECONDS = 600.0
#: Between attempts to ask again, doubled from the first to the last; the very first comes at once.
PAUSE_SECONDS = (1.0, 10.0)


class HeldRequest:
    """A request that is under way in a thread of its own, until it is answered or `stop` is set."""

    def __init__(self, api: Api, request: Request, seconds: float, stop: Stop) -> None:
        self.stop = stop
        self._api = api
        self._answer: Future[Answer] = Future()
        threading.Thread(target=self._run, args=(request, seconds), name="held request", daemon=True).start()

    def answer(self, seconds: float) -> Answer | None:
        """None when there is none within `seconds`.

        :raises StorageUnavailable: when there will be none.
        """
        try:
            return self._answer.result(max(0.0, seconds))
        except TimeoutError:
            return None

    def cut(self) -> None:
        self.stop.set()

    def _run(self, request: Request, seconds: float) -> None:
        try:
            answer = self._api.exchange(request, seconds, self.stop)
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            self._answer.set_exception(error)
        else:
            self._answer.set_result(answer)


def whole(look: Callable[[], StoredObject], size_bytes: int) -> StoredObject:
    """The object that `look` finds, which must have so many bytes: the server checks nothing (contract section 0.7).

    :raises UploadLost: when there is none, or one of another size.
    """
    try:
        stored = look()
    except ObjectMissing as error:
        raise UploadLost("The storage took the file and does not have it. Send it again.") from error
    check_size(stored.size_bytes, size_bytes)
    return stored


class SupabaseCompletion:
    """A `Completion` of the upload at `path`; `held` is the PATCH that is under way for it, if one is."""

    def __init__(self, bucket: Bucket, key: str, path: str, size_bytes: int, held: HeldRequest | None = None) -> None:
        self._bucket = bucket
        self._key = key
        self._path = path
        self._size_bytes = size_bytes
        self._held = held
        self._stop = held.stop if held else Stop()
        self._deadline = time.monotonic() + HOLD_SECONDS
        self._ask_at = 0.0
        self._pause_seconds = 0.0

    def wait(self, seconds: float) -> StoredObject | None:
        until = time.monotonic() + seconds
        while True:
            if self._stop.is_set():
                raise StorageUnavailable("The completion of the upload is not waited for any more.")
            try:
                held = self._held_request(until)
                if held and (answer := held.answer(until - time.monotonic())):
                    return self._stored(answer)
            except StorageUnavailable as error:
                self._note_broken(error)
            if time.monotonic() >= until:
                return None

    def release(self) -> None:
        self._stop.set()

    def _held_request(self, until: float) -> HeldRequest | None:
        """The PATCH that is under way, or a new and empty one; None when it is not time for that before `until`."""
        if self._held is None:
            self._stop.wait(max(0.0, min(self._ask_at, until) - time.monotonic()))
            if time.monotonic() < self._ask_at:
                return None
            request, left_seconds = tus.patch(self._path, self._size_bytes), self._deadline - time.monotonic()
            self._held = HeldRequest(self._bucket.api, request, left_seconds, self._stop)
        return self._held

    def _stored(self, answer: Answer) -> StoredObject:
        if answer.is_success:
            return whole(lambda: self._bucket.info(self._key), self._size_bytes)
        if answer.status in (404, 409, 410):
            lost = f"the upload after its {self._size_bytes} bytes had arrived (status {answer.status})"
            raise UploadLost(f"The storage has lost {lost}. Send the file again.")
        raise answer.error(self._bucket.api.bucket)

    def _note_broken(self, error: DataFlowError) -> None:
        """:raises DataFlowError: `error`, when the time is up."""
        self._held = None
        if time.monotonic() + self._pause_seconds >= self._deadline:
            raise error
        facts = {"operation": "tus_patch", "object": self._key, "offset": self._size_bytes, "error": error.message}
        logger.warning("storage failed", extra=facts)
        self._bucket.api.observer.retried("tus_patch")
        self._ask_at = time.monotonic() + self._pause_seconds
        first, longest = PAUSE_SECONDS
        self._pause_seconds = min(max(first, 2 * self._pause_seconds), longest)
