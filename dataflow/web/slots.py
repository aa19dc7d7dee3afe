"""The places of one process for uploads, previews and files of rejects: small requests always find a thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dataflow.config import THREADS_PER_UPLOAD
from dataflow.errors import TooManyUploads

#: A burst of small files is over sooner than this; refusing it would only make the clients come again.
WAIT_SECONDS = 2.0


class UploadSlots:
    """`count` of them at a time, a bounded number of others waiting a moment for one of the places."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._places = threading.Semaphore(count)
        self._queue = threading.Semaphore(count * THREADS_PER_UPLOAD)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a place.

        :raises TooManyUploads: when there is none within WAIT_SECONDS, or too many wait already.
        """
        if not self._queue.acquire(blocking=False):
            raise self._refusal()
        try:
            if not self._places.acquire(timeout=WAIT_SECONDS):
                raise self._refusal()
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._queue.release()

    def _refusal(self) -> TooManyUploads:
        return TooManyUploads(
            f"This process has {self._count} uploads, previews and downloads under way (MAX_UPLOADS). Try again soon."
        )
