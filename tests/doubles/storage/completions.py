"""What becomes of a TUS upload whose bytes are all there while the server makes an object of it (contract section 13).

A client that leaves meanwhile takes the upload with it, unless another request has asked for the same and stays.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.doubles.storage.wire import GLANCE_SECONDS


@dataclass(frozen=True, slots=True)
class Fate:
    """Of one request that waits for an upload's completion; neither, when another one decides."""

    is_kept: bool  #: its client is still there
    is_lost: bool  #: it was the last, and its client is not


class Completions:
    """All that are under way; each request takes `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: Counter[str] = Counter()
        self._lock = threading.RLock()

    @contextmanager
    def under_way(self, version: str, is_gone: Callable[[], bool]) -> Iterator[Fate]:
        """Work, then let the block do what the fate says, one request at a time."""
        with self._lock:
            self._waiting[version] += 1
        was_left = self._work(is_gone)
        with self._lock:
            self._waiting[version] -= 1
            yield Fate(not was_left, was_left and not self._waiting[version])

    def _work(self, is_gone: Callable[[], bool]) -> bool:
        """Whether the client has left meanwhile; the work goes on all the same."""
        deadline, was_left = time.monotonic() + self._seconds, False
        while time.monotonic() < deadline:
            time.sleep(GLANCE_SECONDS)
            was_left = was_left or is_gone()
        return was_left
