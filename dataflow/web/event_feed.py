"""The jobs that somebody waits for: one thread with one connection asks for all of them, once a second.

A notification says at once that one of them has ended. It is a hint, which no pooler passes on: the table is the truth.
While the database is away, who waits goes on waiting; where it is full, the connections of requests are asked through.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from uuid import UUID

from dataflow import db
from dataflow.db import Connection
from dataflow.errors import DatabaseError, TooManyConnections
from dataflow.queue import jobs, notify

logger = logging.getLogger(__name__)

#: An event is there within a second of what it tells: to ask for it, and to send it, takes a part of that.
READ_SECONDS: Final = 0.95
#: Jobs that end together are read together.
EARLY_SECONDS: Final = 0.25
#: After the last who waited; a page that is loaded anew finds the connection open.
LINGER_SECONDS: Final = 30.0
#: A statement takes milliseconds; a server that is silent for so long is asked on another connection.
STATEMENT_SECONDS: Final = 5.0
#: Before the next attempt to connect; the second, to a server that is full and starts a process for each.
PAUSE_SECONDS, FULL_PAUSE_SECONDS = 0.5, 15.0


class Watch:
    """What one thread waits for; told by another."""

    def __init__(self, job_id: UUID, hang_up: Callable[[], None]) -> None:
        self.job_id = job_id
        self.payload = str(job_id)  #: of the notification that it has ended
        self.is_over = False  #: nothing more comes: the job was deleted, or the process ends
        self._hang_up = hang_up
        self._is_sending = False
        self._changed = threading.Condition()
        self._row: dict[str, Any] | None = None

    def next(self, seconds: float) -> dict[str, Any] | None:
        """What the job has become since the last call, or within `seconds` from now; None if there is nothing new."""
        with self._changed:
            if self._row is None and not self.is_over:
                self._changed.wait(seconds)
            row, self._row = self._row, None
            return row

    def tell(self, row: dict[str, Any] | None) -> None:
        with self._changed:
            self._row = row
            self.is_over = self.is_over or row is None
            self._changed.notify()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """While its thread waits for its client, and not for the job."""
        self._is_sending = True
        if self.is_over:
            self._hang_up()
        yield
        self._is_sending = False

    def end(self) -> None:
        self.tell(None)
        if self._is_sending:
            self._hang_up()


class EventFeed:
    """Of one process; its thread and its connection are there only while somebody waits."""

    def __init__(
        self, connect: Callable[[], Connection], borrow: Callable[[], AbstractContextManager[Connection]]
    ) -> None:
        self._connect = connect
        self._borrow = borrow  #: one that requests use, for a statement
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._thread: threading.Thread | None = None
        self._left_at = 0.0  #: when somebody has last stopped waiting
        self._stopping = threading.Event()

    @contextmanager
    def watch(self, job_id: UUID, hang_up: Callable[[], None] = lambda: None) -> Iterator[Watch]:
        """`hang_up` ends a send that waits for the client."""
        watch = Watch(job_id, hang_up)
        try:
            self._begin(watch)
            yield watch
        finally:
            with self._lock:
                self._watches.discard(watch)
                self._left_at = time.monotonic()

    def _begin(self, watch: Watch) -> None:
        with self._lock:
            self._watches.add(watch)
            if self._stopping.is_set():
                watch.end()
            elif self._thread is None:
                thread = threading.Thread(target=self._run, name="events", daemon=True)
                thread.start()
                self._thread = thread  # only now: the next who waits tries again where there is no thread

    def stop(self) -> None:
        """Have nobody wait any more, because the process ends."""
        self._stopping.set()
        with self._lock:
            for watch in self._watches:
                watch.end()

    def _run(self) -> None:
        error: DatabaseError | None = None
        while self._must_go_on():
            try:
                if isinstance(error, TooManyConnections):
                    self._serve_with_borrowed()
                with self._connect() as connection:
                    error = None
                    self._serve(connection)
            except DatabaseError as latest:
                if error is None:
                    logger.warning("event feed lost the database", extra={"code": latest.code, "error": latest.message})
                error = latest
                self._stopping.wait(PAUSE_SECONDS)
            except Exception:
                # Without this thread nobody would ever hear of an end.
                logger.exception("event feed broke")
                self._stopping.wait(PAUSE_SECONDS)

    def _must_go_on(self) -> bool:
        """Whether this thread has to; else the next who waits starts another."""
        with self._lock:
            if self._is_wanted():
                return True
            self._thread = None
            return False

    def _is_wanted(self) -> bool:
        has_users = bool(self._watches) or time.monotonic() - self._left_at < LINGER_SECONDS
        return has_users and not self._stopping.is_set()

    def _serve(self, connection: Connection) -> None:
        if not connection.is_pooled:
            with db.translated(), db.deadline(connection, STATEMENT_SECONDS):
                notify.listen(connection, notify.ENDED_CHANNEL)
        while self._is_wanted():
            read_at = time.monotonic()
            self._read(connection)
            self._wait(connection, read_at)

    def _serve_with_borrowed(self) -> None:
        """For as long as a full server is given a rest: its own connection is the first that a process goes without."""
        ends_at = time.monotonic() + FULL_PAUSE_SECONDS
        while self._is_wanted() and time.monotonic() < ends_at:
            with self._borrow() as connection:
                self._read(connection)
            self._stopping.wait(READ_SECONDS)

    def _read(self, connection: Connection) -> None:
        with self._lock:
            watches = [*self._watches]
        if watches:
            with db.translated(), db.deadline(connection, STATEMENT_SECONDS):
                rows = jobs.get_all(connection, {watch.job_id for watch in watches})
            for watch in watches:
                watch.tell(rows.get(watch.job_id))

    def _wait(self, connection: Connection, read_at: float) -> None:
        """Until it is time for the next look, which is soon when a job has ended that somebody waits for."""
        due = read_at + READ_SECONDS
        while (seconds := due - time.monotonic()) > 0:
            if connection.is_pooled:
                self._stopping.wait(seconds)
                return
            with db.translated():
                for notice in connection.notifies(timeout=seconds, stop_after=1):
                    if self._is_awaited(notice.payload):
                        due = min(due, read_at + EARLY_SECONDS)

    def _is_awaited(self, payload: str) -> bool:
        with self._lock:
            return any(watch.payload == payload for watch in self._watches)
