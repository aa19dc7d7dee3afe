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
from dataclasses import dataclass

from dataflow.errors import DataFlowError, ObjectMissing, StorageUnavailable, UploadLost
from dataflow.storage import tus
from dataflow.storage.base import StoredObject
from dataflow.storage.messages import Answer, Request
from dataflow.storage.supabase.api import Api
from dataflow.storage.supabase.line import Line

logger = logging.getLogger(__name__)

#: How long one upload is held on to.
HOLD_SECONDS = 600.0
#: Between attempts to ask again, doubled from the first to the last; the very first comes at once.
PAUSE_SECONDS = (1.0, 10.0)


class HeldRequest:
    """A request that is under way in a thread of its own."""

    def __init__(self, api: Api, request: Request, seconds: float) -> None:
        self._api = api
        self._answer: Future[Answer] = Future()
        self._line: Line | None = None
        self._is_cut = False
        self._lock = threading.Lock()
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
        """Give it up."""
        with self._lock:
            self._is_cut = True
            if self._line is not None:
                self._line.cut()

    def _run(self, request: Request, seconds: float) -> None:
        try:
            answer = self._api.exchange(request, seconds, lend=self._take)
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            self._answer.set_exception(error)
        else:
            self._answer.set_result(answer)

    def _take(self, line: Line | None) -> None:
        with self._lock:
            self._line = line
            if line is not None and self._is_cut:
                line.cut()


def whole(look: Callable[[], StoredObject], size_bytes: int) -> StoredObject:
    """The object that `look` finds, which must have so many bytes.

    :raises UploadLost: when there is none, or one of another size.
    """
    try:
        stored = look()
    except ObjectMissing as error:
        raise UploadLost("The storage took the file and does not have it. Send it again.") from error
    if stored.size_bytes != size_bytes:
        # The server checks nothing on the way in (contract section 0.7).
        raise UploadLost(f"The storage has {stored.size_bytes} of {size_bytes} bytes. Send the file again.")
    return stored


@dataclass(frozen=True, slots=True)
class WholeUpload:
    """An upload all of whose bytes are with the server."""

    key: str
    path: str
    size_bytes: int


class SupabaseCompletion:
    """A `Completion` of `upload`; `held` is the PATCH that is under way for it, if one is.

    `info` looks for an object, and raises ObjectMissing when there is none.
    """

    def __init__(
        self, api: Api, info: Callable[[str], StoredObject], upload: WholeUpload, held: HeldRequest | None = None
    ) -> None:
        self._api = api
        self._info = info
        self._upload = upload
        self._held = held
        self._is_released = threading.Event()
        self._deadline = time.monotonic() + HOLD_SECONDS
        self._ask_at = 0.0
        self._pause_seconds = 0.0

    def wait(self, seconds: float) -> StoredObject | None:
        until = time.monotonic() + seconds
        while True:
            if self._is_released.is_set():
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
        self._is_released.set()
        if (held := self._held) is not None:
            held.cut()

    def _held_request(self, until: float) -> HeldRequest | None:
        """The PATCH that is under way, or a new and empty one; None when it is not time for that before `until`."""
        if self._held is None:
            self._is_released.wait(max(0.0, min(self._ask_at, until) - time.monotonic()))
            if time.monotonic() < self._ask_at:
                return None
            left_seconds = self._deadline - time.monotonic()
            self._held = HeldRequest(
                self._api, tus.completion(self._upload.path, str(self._upload.size_bytes)), left_seconds
            )
            if self._is_released.is_set():
                self._held.cut()
        return self._held

    def _stored(self, answer: Answer) -> StoredObject:
        if answer.is_success:
            return whole(lambda: self._info(self._upload.key), self._upload.size_bytes)
        if answer.status in (404, 409, 410):
            lost = f"the upload after its {self._upload.size_bytes} bytes had arrived (status {answer.status})"
            raise UploadLost(f"The storage has lost {lost}. Send the file again.")
        raise answer.error(self._api.bucket)

    def _note_broken(self, error: DataFlowError) -> None:
        """:raises DataFlowError: `error`, when the time is up."""
        self._held = None
        if time.monotonic() + self._pause_seconds >= self._deadline:
            raise error
        facts = {
            "operation": "tus_patch",
            "object": self._upload.key,
            "offset": self._upload.size_bytes,
            "error": error.message,
        }
        logger.warning("storage failed", extra=facts)
        self._api.observer.retried("tus_patch")
        self._ask_at = time.monotonic() + self._pause_seconds
        first, longest = PAUSE_SECONDS
        self._pause_seconds = min(max(first, 2 * self._pause_seconds), longest)
