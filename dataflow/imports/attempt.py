"""One attempt at a job: what its thread counts, and how any other thread may end it."""

import threading
import time
from dataclasses import dataclass, field

from dataflow import db
from dataflow.db import Connection
from dataflow.errors import DataFlowError
from dataflow.imports.import_progress import ImportProgress
from dataflow.imports.rejects import RejectSpool
from dataflow.queue.jobs import Job
from dataflow.storage.base import ObjectReader


@dataclass(slots=True, eq=False)
class Attempt:
    """Its thread counts in `progress`; any other thread may `stop` or `cut` it."""

    job: Job
    connection: Connection | None = None  #: what its thread may wait in; None once that must not be cut
    is_cut: bool = False  #: the connection is of no more use, though it may not know yet
    progress: ImportProgress = field(default_factory=ImportProgress)
    rejects: RejectSpool = field(default_factory=RejectSpool)
    reader: ObjectReader | None = None
    stopped: DataFlowError | None = None
    confirmed: float = field(default_factory=time.monotonic)  #: when the job was last known to be ours
    is_settling: bool = False  #: its own thread writes the outcome: the fence decides, not a beat
    merging_pid: int | None = None  #: the server process that merges its rows, while it does
    merge_looks: int = 0  #: how often that was found at work
    last_position: tuple[int, ...] | None = None  #: at the last beat
    waits_for: str | None = None  #: what its server process was last found to wait for, to be told
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def position(self) -> tuple[int, ...]:
        """How far it has come: two that are the same mean that it stood still between them."""
        progress = self.progress
        rows = (progress.rows_read, progress.rows_imported, progress.rows_rejected, progress.rows_reverted)
        return (progress.bytes_done, self.merge_looks, *rows)

    def stop(self, reason: DataFlowError) -> None:
        """Have the job end with `reason` after the block it is working on, a blocked read included."""
        self.stopped = self.stopped or reason
        reader = self.reader
        if reader is not None:
            reader.close()

    def cut(self, reason: DataFlowError) -> None:
        """Have the job end with `reason` now, whatever it waits for, a lock in the database included."""
        self.stop(reason)
        with self._lock:
            if self.connection is not None:
                self.is_cut = True
                db.cut(self.connection)

    def release(self) -> None:
        """Take the connection out of reach: what follows on it must not be cut. Nobody is at it when this returns."""
        with self._lock:
            self.connection = None

    def check(self) -> None:
        """:raises DataFlowError: the reason, when the attempt has been stopped."""
        if self.stopped is not None:
            raise self.stopped
