"""The imports that run in this worker: each in a thread, on the connection that claimed its job.

When to claim is left to `worker`, what happens to a claimed job to `slot`.
"""

import threading
from collections.abc import Callable

from dataflow import db
from dataflow.attempt import Attempt
from dataflow.db import Connection
from dataflow.errors import DatabaseError, DataFlowError
from dataflow.jobs import Job
from dataflow.slot import Slot


class Crew:
    """At most `size` imports at a time. `wake` is called in the thread of each that has ended."""

    def __init__(self, size: int, slot: Slot, connect: Callable[[], Connection], wake: Callable[[], None]) -> None:
        self.failed_jobs = 0
        self._size = size
        self._slot = slot
        self._connect = connect
        self._wake = wake
        self._attempts: dict[threading.Thread, Attempt] = {}
        self._idle: list[Connection] = []  #: connected ahead, at most one, so that a claim need not wait for it

    def __len__(self) -> int:
        """How many threads have not ended."""
        return len(self._attempts)

    def running(self) -> list[Attempt]:
        """Those that somebody works on: a thread that died of what it did not expect must not keep its job alive."""
        return [attempt for thread, attempt in list(self._attempts.items()) if thread.is_alive()]

    def has_room(self) -> bool:
        """Whether another job may run here, beside those that do."""
        return len(self) < self._size and not any(attempt.job.runs_alone for attempt in self.running())

    def take(self, claim: Callable[[Connection], Job | None]) -> bool:
        """Start on the job that `claim` gets; False when it gets none.

        :raises DatabaseError: when nothing can be claimed just now.
        """
        connection = self._idle.pop() if self._idle else self._connect()
        try:
            with db.translated():
                job = claim(connection)
        except DatabaseError:
            connection.close()
            raise
        if job is None:
            self._idle.append(connection)
            return False
        self._start(Attempt(job, connection), connection)
        return True

    def stop(self, reason: DataFlowError) -> None:
        """Have every import end after the block that it is at."""
        for attempt in self.running():
            attempt.stop(reason)

    def cut(self, reason: DataFlowError) -> None:
        """Have every import end now, whatever it waits for."""
        self._slot.hurry()
        for attempt in self.running():
            attempt.cut(reason)

    def drop_idle(self) -> None:
        """Close what is connected and not at work."""
        while self._idle:
            self._idle.pop().close()

    def _start(self, attempt: Attempt, connection: Connection) -> None:
        # Daemons, because a thread that hangs in a dead connection must not keep the process from ending.
        thread = threading.Thread(target=self._work, args=(connection, attempt), daemon=True)
        self._attempts[thread] = attempt
        try:
            thread.start()
        except RuntimeError:
            # No more threads: without its connection, the job is any worker's to take.
            del self._attempts[thread]
            connection.close()
            raise

    def _work(self, connection: Connection, attempt: Attempt) -> None:
        """The thread of one import."""
        is_reusable = False
        try:
            if not self._slot.work(connection, attempt):
                self.failed_jobs += 1
            is_reusable = not (connection.broken or attempt.is_cut)
        finally:
            attempt.release()
            attempt.rejects.close()
            # Before the attempt goes from the list: whoever finds that empty closes what is idle.
            if self._idle or not is_reusable:
                connection.close()
            else:
                self._idle.append(connection)
            del self._attempts[threading.current_thread()]
            self._wake()
