"""How whatever waits for a storage is ended from another thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Cuttable(Protocol):
    def cut(self) -> None:
        """End it, from any thread and without waiting."""


class Stop:
    """Set by any thread, which does not wait: from then on pauses end at once, and what is `cutting` is cut."""

    def __init__(self) -> None:
        self._is_set = threading.Event()
        self._lock = threading.Lock()
        self._under_way: list[Cuttable] = []

    def set(self) -> None:
        with self._lock:
            self._is_set.set()
            for begun in self._under_way:
                begun.cut()

    def is_set(self) -> bool:
        return self._is_set.is_set()

    def wait(self, seconds: float) -> bool:
        """Pause; whether it was set before or meanwhile."""
        return self._is_set.wait(seconds)

    @contextmanager
    def cutting(self, begun: Cuttable) -> Iterator[None]:
        """Inside, `begun` is cut as soon as this is set; afterwards it is left alone."""
        with self._lock:
            self._under_way.append(begun)
            if self._is_set.is_set():
                begun.cut()
        try:
            yield
        finally:
            with self._lock:
                self._under_way.remove(begun)
