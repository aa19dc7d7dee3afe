"""The threads of a worker, each with an attempt at a job, and the connections that they work on.

A server that has no room for another connection is not asked for each job: the worker makes do with those that are
there, keeps them from then on, and tries for one more a minute.
"""

import logging
import math
import threading
import time
from collections.abc import Callable

from dataflow import db
from dataflow.db import Connection
from dataflow.errors import DatabaseError, DataFlowError, TooManyConnections
from dataflow.queue.attempt import Attempt
from dataflow.queue.jobs import Job
from dataflow.worker.outage import Outage
from dataflow.worker.runner import Runner

logger = logging.getLogger(__name__)

GROWTH_SECONDS = 60.0


class WorkConnections:
    """At most `size`, made by `connect`. An idle one is kept, so that a claim need not wait for it.

    One thread takes and grows, any thread gives back. `clock` gives seconds that never go back.
    """

    def __init__(
        self, size: int, connect: Callable[[], Connection], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.capacity = size  #: how many may be in use; fewer than `size` while the server refuses more
        self._size = size
        self._connect = connect
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._in_use = 0
        self._grows_at = 0.0
        self._outage = Outage(clock)

    def take(self) -> Connection | None:
        """None when the server has no room for more than are in use.

        :raises TooManyConnections: when it has not even room for the first.
        :raises DatabaseError: when it cannot be reached.
        """
        connection = self._take_idle()
        if connection is None:
            try:
                connection = self._connect()
            except TooManyConnections as error:
                self._shrink(error)
                if not self.capacity:
                    raise
                return None
        with self._lock:
            self._in_use += 1
        return connection

    def give_back(self, connection: Connection, is_reusable: bool = True) -> None:
        with self._lock:
            self._in_use -= 1
            is_kept = is_reusable and (not self._idle or self.capacity < self._size)
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            connection.close()

    def grow(self) -> None:
        """Try whether the server has room for one more, if it is time to.

        :raises DatabaseError: when it cannot be reached.
        """
        if self.capacity >= self._size or self._clock() < self._grows_at:
            return
        try:
            connection = self._connect()
        except TooManyConnections:
            self._put_off_growth()
            return
        with self._lock:
            self._idle.append(connection)
            self.capacity += 1
        self._put_off_growth()
        logger.info("concurrency raised", extra={"concurrency": self.capacity, "of": self._size})
        if self.capacity == self._size:
            logger.info("concurrency is full again", extra={"concurrency": self.capacity})
            self.close_idle(but=1)

    def seconds_until_growth(self) -> float:
        return max(self._grows_at - self._clock(), 0.0) if self.capacity < self._size else math.inf

    def close_idle(self, but: int = 0) -> None:
        with self._lock:
            surplus = self._idle[but:]
            del self._idle[but:]
        for connection in surplus:
            connection.close()

    def _take_idle(self) -> Connection | None:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None or not db.has_ended(connection):
                return connection
            connection.close()

    def _shrink(self, error: TooManyConnections) -> None:
        with self._lock:
            before, self.capacity = self.capacity, self._in_use + len(self._idle)
        self._put_off_growth()
        if self.capacity < before:
            facts = {"concurrency": self.capacity, "of": self._size, "code": error.code, "error": error.message}
            logger.warning("concurrency reduced", extra=facts)

    def _put_off_growth(self) -> None:
        # A worker that cannot work at all tries sooner, and ever more seldom.
        pause_seconds = GROWTH_SECONDS if self.capacity else self._outage.next_pause_seconds(is_full=True)
        self._grows_at = self._clock() + pause_seconds


class AttemptPool:
    """As many attempts at a time as there are `connections`. `wake` is called in the thread of each that has ended."""

    def __init__(self, connections: WorkConnections, runner: Runner, wake: Callable[[], None]) -> None:
        self.failed_jobs = 0
        self._connections = connections
        self._runner = runner
        self._wake = wake
        self._attempts: dict[threading.Thread, Attempt] = {}

    def __len__(self) -> int:
        return len(self._attempts)

    def running(self) -> list[Attempt]:
        # A thread that died of what it did not expect must not keep its job alive.
        return [attempt for thread, attempt in list(self._attempts.items()) if thread.is_alive()]

    def has_room(self) -> bool:
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
        self._start(Attempt(job, connection, self.running), connection)
        return True

    def stop(self, reason: DataFlowError) -> None:
        for attempt in self.running():
            attempt.stop(reason)

    def cut(self, reason: DataFlowError) -> None:
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
