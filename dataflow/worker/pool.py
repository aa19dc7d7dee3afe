"""The imports that run in this worker: each in a thread, on the connection that claimed its job.

When to claim is left to `loop`, what happens to a claimed job to `runner`.
"""

import threading
from collections.abc import Callable

from dataflow import db
from dataflow.db import Connection
from dataflow.errors import DatabaseError, DataFlowError
from dataflow.queue.attempt import Attempt
from dataflow.queue.jobs import Job
from dataflow.worker.runner import Runner
from dataflow.worker.work_connections import WorkConnections


class AttemptPool:
    """As many imports at a time as there are `connections`. `wake` is called in the thread of each that has ended."""

    def __init__(self, connections: WorkConnections, runner: Runner, wake: Callable[[], None]) -> None:
        self.failed_jobs = 0
        self._connections = connections
        self._runner = runner
        self._wake = wake
        self._attempts: dict[threading.Thread, Attempt] = {}

    def __len__(self) -> int:
        """How many threads have not ended."""
        return len(self._attempts)

    def running(self) -> list[Attempt]:
        """Those that somebody works on: a thread that died of what it did not expect must not keep its job alive."""
        return [attempt for thread, attempt in list(self._attempts.items()) if thread.is_alive()]

    def has_room(self) -> bool:
        """Whether another job may run here, beside those that do."""
        has_connection = len(self) < self._connections.capacity
        return has_connection and not any(attempt.job.runs_alone for attempt in self.running())

    def take(self, claim: Callable[[Connection], Job | None]) -> bool:
        """Start on the job that `claim` gets; False when it gets none, or the server has no room for a connection.

        :raises DatabaseError: when nothing can be claimed just now.
        """
        connection = self._connections.take()
        if connection is None:
            return False
        try:
            with db.translated():
                job = claim(connection)
        except DatabaseError:
            self._connections.give_back(connection, is_reusable=False)
            raise
        if job is None:
            self._connections.give_back(connection)
            return False
        self._start(Attempt(job, connection), connection)
        return True

    def stop(self, reason: DataFlowError) -> None:
        """Have every import end after the block that it is at."""
        for attempt in self.running():
            attempt.stop(reason)

    def cut(self, reason: DataFlowError) -> None:
        """Have every import end now, whatever it waits for."""
        self._runner.hurry()
        for attempt in self.running():
            attempt.cut(reason)

    def _start(self, attempt: Attempt, connection: Connection) -> None:
        # Daemons, because a thread that hangs in a dead connection must not keep the process from ending.
        thread = threading.Thread(target=self._work, args=(connection, attempt), daemon=True)
        self._attempts[thread] = attempt
        try:
            thread.start()
        except RuntimeError:
            # No more threads: without its connection, the job is any worker's to take.
            del self._attempts[thread]
            self._connections.give_back(connection, is_reusable=False)
            raise

    def _work(self, connection: Connection, attempt: Attempt) -> None:
        """The thread of one import."""
        is_reusable = False
        try:
            if not self._runner.work(connection, attempt):
                self.failed_jobs += 1
            is_reusable = not (connection.broken or attempt.is_cut)
        finally:
            attempt.release()
            # Before the attempt goes from the list: whoever finds that empty closes what is idle.
            self._connections.give_back(connection, is_reusable)
            del self._attempts[threading.current_thread()]
            self._wake()
