"""Wakes a thread that waits for sockets, from a signal handler or any other thread."""

import os
import select
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar


class Source(Protocol):
    def fileno(self) -> int: ...


S = TypeVar("S", bound=Source)


class SelfPipe:
    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def wake(self) -> None:
        """Have `wait` return, now or when it is called next."""
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            return  # It is full of wake-ups that nobody has heard yet.

    def wait(self, sources: Sequence[S], seconds: float) -> list[S]:
        """Those that can be read from, once there is one, after a wake-up, or after `seconds`."""
        everything: list[Any] = [*sources, self._reader]
        readable, _, _ = select.select(everything, [], [], seconds)
        if self._reader in readable:
            os.read(self._reader, 4096)
        return [source for source in sources if source in readable]
