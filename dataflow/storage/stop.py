"""How a `put` is ended from outside, while it waits for the storage and not for its pieces."""

import threading
from typing import Protocol


class Cuttable(Protocol):
    """Something that is under way."""

    def cut(self) -> None:
        """End it, from any thread and without waiting."""


class Stop:
    """Set by any thread, which does not wait: from then on a `put` waits for nothing, and what it asks is cut."""

    def __init__(self) -> None:
        self._is_set = threading.Event()
        self._lock = threading.Lock()
        self._lent: list[Cuttable] = []

    def set(self) -> None:
        with self._lock:
            self._is_set.set()
            for lent in self._lent:
                lent.cut()

    def is_set(self) -> bool:
        return self._is_set.is_set()

    def wait(self, seconds: float) -> bool:
        """Pause; whether it was set before or meanwhile."""
        return self._is_set.wait(seconds)

    def lend(self, begun: Cuttable | None) -> None:
        """What is to be cut if need be; None ends the loan that was made last."""
        with self._lock:
            if begun is None:
                self._lent.pop()
                return
            self._lent.append(begun)
            if self._is_set.is_set():
                begun.cut()
