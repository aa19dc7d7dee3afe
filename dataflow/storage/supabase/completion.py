"""The end of a tus upload: the PATCH after whose last byte the server makes an object of it, which may take minutes.

A connection that is closed meanwhile costs the whole upload (contract section 13). So the PATCH has its own thread,
which holds on to it whoever else stops waiting; when it breaks all the same, an empty one is sent at once.
"""

import threading
import time
from concurrent.futures import Future

from dataflow.errors import StorageUnavailable, UploadLost
from dataflow.storage import tus
from dataflow.storage.base import StoredObject
from dataflow.storage.messages import Answer, Request
from dataflow.storage.retry import Retries, Schedule
from dataflow.storage.stop import Stop
from dataflow.storage.supabase.api import Api
from dataflow.storage.supabase.bucket import Bucket

HOLD_SECONDS = 600.0
_PAUSES = Schedule((0.0, 1.0, 2.0, 4.0, 8.0, *[10.0] * 60))


class HeldRequest:
    """A request that is under way in a thread of its own, until it is answered or `stop` is set."""

    def __init__(self, api: Api, request: Request, seconds: float, stop: Stop) -> None:
        self.stop = stop
        self._api = api
        self._answer: Future[Answer] = Future()
        threading.Thread(target=self._run, args=(request, seconds), name="held request", daemon=True).start()

    def answer(self, seconds: float) -> Answer | None:
        """None when there is none within `seconds`; raises like `Api.exchange`."""
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


class SupabaseCompletion:
    """A `Completion` of the upload at `path`; `held` is the PATCH that is under way for it, if one is."""

    def __init__(self, bucket: Bucket, key: str, path: str, size_bytes: int, held: HeldRequest | None = None) -> None:
        self._bucket = bucket
        self._key = key
        self._path = path
        self._size_bytes = size_bytes
        self._held = held
        self._stop = held.stop if held else Stop()
        self._retries = Retries(_PAUSES, HOLD_SECONDS, self._ask_later)
        self._ask_at = 0.0

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
                self._held = None
                self._bucket.api.pause(self._retries, error, "tus_patch", self._key, self._size_bytes)
            if time.monotonic() >= until:
                return None

    def release(self) -> None:
        self._stop.set()

    def _held_request(self, until: float) -> HeldRequest | None:
        """The PATCH that is under way, or a new and empty one; None when that has to wait beyond `until`."""
        if self._held is None:
            self._stop.wait(max(0.0, min(self._ask_at, until) - time.monotonic()))
            if time.monotonic() < self._ask_at:
                return None
            request = tus.patch(self._path, self._size_bytes)
            self._held = HeldRequest(self._bucket.api, request, self._retries.left_seconds, self._stop)
        return self._held

    def _stored(self, answer: Answer) -> StoredObject:
        if answer.is_success:
            return self._bucket.whole(self._key, self._size_bytes)
        if answer.status in (404, 409, 410):
            lost = f"the upload after its {self._size_bytes} bytes had arrived (status {answer.status})"
            raise UploadLost(f"The storage has lost {lost}. Send the file again.")
        raise answer.error(self._bucket.api.bucket)

    def _ask_later(self, seconds: float) -> None:
        self._ask_at = time.monotonic() + seconds
