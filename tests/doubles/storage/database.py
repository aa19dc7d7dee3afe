"""The database connections of the server: few, and a running PATCH keeps one for its whole duration."""

import contextlib
import threading
from collections.abc import Iterator


class NoConnection(Exception):
    """None became free in time."""


class Connections:
    """Safe to use from many threads."""

    def __init__(self, count: int, timeout_seconds: float) -> None:
        self._free = threading.BoundedSemaphore(count)
        self._timeout_seconds = timeout_seconds

    @contextlib.contextmanager
    def connection(self) -> Iterator[None]:
        """:raises NoConnection: when all are taken for too long."""
        if not self._free.acquire(timeout=self._timeout_seconds):
            raise NoConnection
        try:
            yield
        finally:
            self._free.release()

    def use(self) -> None:
        """What a call does that is done with the database before it touches a body."""
        with self.connection():
            pass
