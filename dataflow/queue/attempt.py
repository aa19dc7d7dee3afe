"""One attempt at a job, whatever its kind: what its thread counts, and how any other thread may end it."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from dataflow import db
from dataflow.db import Connection, value
from dataflow.errors import DataFlowError
from dataflow.queue.jobs import Job
from dataflow.queue.progress import Progress


class Closable(Protocol):
    def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class Attempt:
    job: Job
    connection: Connection | None = None  #: what its thread may wait in; None once that must not be cut
    beside: Callable[[], Sequence["Attempt"]] = tuple  #: all that its worker does just now
    progress: Progress = field(default_factory=Progress)  #: that of its handler, once there is one
    stopped: DataFlowError | None = None
    is_cut: bool = False  #: the connection is of no more use, though it may not know yet
    is_settling: bool = False  #: its own thread writes the outcome: the fence decides, not a beat
    confirmed: float = field(default_factory=time.monotonic)  #: when the job was last known to be ours
    statement_pid: int | None = None  #: the server process of a statement that is watched, while it runs
    statement_looks: int = 0  #: how often that was found at work
    last_position: tuple[int, ...] | None = None  #: at the last beat
    waits_for: str | None = None  #: what its server process was last found to wait for
    _reads: Closable | None = None  #: what its thread may wait in, beside the connection
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def position(self) -> tuple[int, ...]:
        """How far it has come: two that are the same mean that it stood still between them."""
        return (self.statement_looks, *self.progress.position)

    @property
    def log_facts(self) -> dict[str, object]:
        return {"job_id": str(self.job.id), "attempt": self.job.attempt, "request_id": self.job.request_id}

    def stop(self, reason: DataFlowError) -> None:
        """Have the job end with `reason` at its next `check`, a blocked read included."""
        self.stopped = self.stopped or reason
        reads = self._reads
        if reads is not None:
            reads.close()

    def cut(self, reason: DataFlowError) -> None:
        """Have the job end with `reason` now, whatever it waits for, a lock in the database included."""
        self.stop(reason)
        with self._lock:
            if self.connection is not None:
                self.is_cut = True
                db.cut(self.connection)

    def release(self) -> None:
        """Take the connection out of the reach of `cut`, which is not at it any more when this returns."""
        with self._lock:
            self.connection = None

    def check(self) -> None:
        """:raises DataFlowError: the reason, when the attempt has been stopped."""
        if self.stopped is not None:
            raise self.stopped

    @contextmanager
    def reading(self, source: Closable) -> Iterator[None]:
        """Have `stop` close `source` until the block ends; after a `stop` the block does not begin."""
        self._reads = source
        try:
            self.check()
            yield
        finally:
            self._reads = None

    @contextmanager
    def watched_statement(self, connection: Connection) -> Iterator[None]:
        """Have the heartbeat ask the server whether it is at work, as a long statement counts nothing here."""
        self.statement_pid = value(connection, "session/backend_pid")
        try:
            yield
        finally:
            self.statement_pid = None
