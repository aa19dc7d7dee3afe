"""A connection that a worker keeps for one purpose, so that a server which is full later cannot stop that."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dataflow import db
from dataflow.db import Connection


class KeptConnection:
    """Stays between `open` and `close`, and is made again when it breaks; otherwise each `use` makes and closes one."""

    def __init__(self, url: str, role: str) -> None:
        self.opened_at = 0.0  #: by the monotonic clock
        self._url = url
        self._role = role
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._is_kept = False

    def open(self) -> None:
        """:raises DatabaseError: when there is no connection yet, and the server refuses one."""
        self._is_kept = True
        if self._lock.acquire(blocking=False):  # else another thread uses it, and connects itself
            try:
                if self._connection is not None and db.has_ended(self._connection):
                    self._drop()
                self._connected()
            finally:
                self._lock.release()

    @contextmanager
    def use(self) -> Iterator[Connection]:
        """:raises DatabaseError: when the connection is of no more use, and the server refuses another."""
        with self._lock:
            if self._connection is not None and not db.answers(self._connection):
                self._drop()
            try:
                yield self._connected()
            finally:
                if not self._is_kept:
                    self._drop()

    def close(self) -> None:
        """Close the connection now, or have the thread that uses it close it; waits for no thread."""
        self._is_kept = False
        if self._lock.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = db.connect(self._url, self._role)
            self.opened_at = time.monotonic()
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
