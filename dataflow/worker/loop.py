"""The loop of a worker: it takes over lost jobs, claims until nothing is due, and waits.

It waits for a notification, the end of a job, a signal, or the poll interval, whichever comes first: NOTIFY is a hint,
the table is the truth. Running jobs is left to `pool`.
"""

import gc
import logging
import os
import secrets
import signal
import socket
import time
from types import FrameType
from weakref import WeakKeyDictionary

import psycopg

from dataflow import db
from dataflow.config import Config
from dataflow.db import Connection, migrations
from dataflow.db.failures import connection_failure
from dataflow.errors import DatabaseError, TooManyConnections, WorkerStopping
from dataflow.queue import database_identity, jobs, live_workers
from dataflow.queue.jobs import Job
from dataflow.storage.base import Storage
from dataflow.worker import connection_plan, heartbeat
from dataflow.worker.heartbeat import Heartbeat
from dataflow.worker.orphaned_uploads import OrphanedUploads
from dataflow.worker.outage import Outage
from dataflow.worker.pool import AttemptPool, WorkConnections
from dataflow.worker.recovery import Recovery
from dataflow.worker.runner import Runner
from dataflow.worker.self_pipe import SelfPipe
from dataflow.worker.sweeper import Sweep
from dataflow.worker.watchdog import Watchdog

logger = logging.getLogger(__name__)

CLAIM_SECONDS = 3.0  #: a claim takes milliseconds; it is given up after this long, so that the loop can stop
SELDOM_SECONDS = 5.0  #: who polls less often than this asks when the next job is due
#: After the grace period: for jobs to stop by themselves, and then for those that had to be cut to be handed on.
STOPPING_SECONDS = (1.0, 2.5)


def worker_name(config: Config) -> str:
    """Host or dyno, process and boot: names come back after a restart, and a new life must not look like the old."""
    host = config.dyno or socket.gethostname().partition(".")[0]
    return f"{host[:24]}.{os.getpid()}.{secrets.token_hex(3)}"


class Worker:
    def __init__(self, config: Config, storage: Storage) -> None:
        self.name = worker_name(config)
        self._config = config
        runner = Runner(config, storage, self._role("settle"))
        self._pipe = SelfPipe()
        self._work_connections = WorkConnections(config.worker_concurrency, self._connect_for_work)
        self._pool = AttemptPool(self._work_connections, runner, self._pipe.wake)
        self._is_direct = False  #: proved anew for each listening session
        self._database_ids: WeakKeyDictionary[Connection, str] = WeakKeyDictionary()  #: of work connections
        self._stop_signals = 0
        self._stopped_at: float | None = None  #: when the first of them came
        url = config.database_url
        self._recovery = Recovery(url, self._role("recover"), self.name, config.poll_seconds)
        self._heartbeat = Heartbeat(url, self._role("beat"), self._pool.running, heartbeat.INTERVAL_SECONDS)
        self._sweep = Sweep(config, storage, self._role("sweep"))
        self._orphaned_uploads = OrphanedUploads(config, storage, self._role("complete"), self._pipe.wake)
        self._watchdog = Watchdog(self._pool.running, config)
        #: Opened before those of jobs, so that a server which is full by then cannot stop what they are for.
        own = (self._heartbeat, self._recovery, self._sweep, runner, self._orphaned_uploads)
        self._own_connections = [user.connection for user in own]

    def run(self, once: bool = False) -> int:
        """Work until SIGTERM or SIGINT, or with `once` until nothing is due and nothing runs; return the exit code.

        With `once` a job that failed makes it 1, and a database that cannot be reached is an error.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        # Rows are built and dropped by the hundred thousand and hold no cycles; looking for some costs 0.2 us a row.
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        self._heartbeat.start()
        self._watchdog.start()
        self._orphaned_uploads.start(once)
        if not once:
            self._sweep.start()
        try:
            self._serve_until_stopped(once)
            if once:
                # The sweeper has not run, and perhaps no other worker does.
                self._sweep.fold_counts()
        finally:
            self._shut_down()
        return 1 if once and self._pool.failed_jobs else 0

    def _serve_until_stopped(self, once: bool) -> None:
        outage = Outage()
        while not self._stop_signals:
            try:
                with self._connect("poll") as listener:
                    self._listen(listener)
                    self._serve(listener, once)
                    self._heartbeat.pooled_worker = None
                    if not self._is_direct:
                        with db.translated(), db.limited(listener, CLAIM_SECONDS):
                            live_workers.leave(listener, self.name)
                return
            except (DatabaseError, psycopg.OperationalError) as error:
                # Whatever the error is: a worker that ends would only be started again.
                if once:
                    raise
                # Idle connections of jobs make room for the worker's own.
                self._work_connections.close_idle()
                self._recovery.hasten()
                is_full = isinstance(error, TooManyConnections)
                pause_seconds = outage.next_pause_seconds(is_full)
                if outage.is_news():
                    cause = connection_failure(error) or getattr(error, "message", type(error).__name__)
                    facts = {"error": cause, "retry_seconds": round(pause_seconds, 2)}
                    logger.warning("too many connections" if is_full else "database lost", extra=facts)
                self._wait([], pause_seconds)

    def _listen(self, listener: Connection) -> None:
        with db.translated(), db.limited(listener, CLAIM_SECONDS):
            migrations.require(listener)
        for own in self._own_connections:
            own.open()
        sender = self._recovery.connection
        self._is_direct = live_workers.begin(listener, sender, self.name, CLAIM_SECONDS, self._config.poll_seconds)
        self._heartbeat.pooled_worker = None if self._is_direct else self.name
        with db.translated(), db.limited(listener, CLAIM_SECONDS):
            held_jobs = database_identity.count_held(listener)
            connection_plan.log(listener, self._config)
        if held_jobs:
            logger.warning(database_identity.explain(held_jobs), extra={"held_jobs": held_jobs})
        facts = {"concurrency": self._config.worker_concurrency, "is_direct": self._is_direct}
        logger.info("worker ready", extra={"worker": self.name, **facts})

    def _serve(self, listener: Connection, once: bool) -> None:
        while not self._stop_signals:
            self._watchdog.tick()
            self._recovery.look([attempt.job.id for attempt in self._pool.running()], self._is_direct)
            self._work_connections.grow()
            if self._pool.has_room() and self._take(once):
                continue
            if once and not self._pool and not self._orphaned_uploads:
                return
            self._wait([listener], self._patience_seconds())

    def _take(self, once: bool) -> bool:
        """Whether a job has begun; a server without room for a single one is no reason to give up our own sessions."""
        try:
            return self._pool.take(self._claim)
        except TooManyConnections:
            if once:
                raise
            return False

    def _claim(self, connection: Connection) -> Job | None:
        # Where the session has its limits already; setting them for each claim would take half as long again.
        limit = db.deadline(connection, 2 * CLAIM_SECONDS) if self._is_direct else db.limited(connection, CLAIM_SECONDS)
        with limit:
            database_id = self._database_ids.get(connection)
            return jobs.claim(connection, self.name, self._is_direct, not self._pool, database_id)

    def _connect_for_work(self) -> Connection:
        connection = self._connect("work")
        db.widen_send_buffer(connection)
        if self._is_direct:
            with db.translated():
                connection.limit_statements(CLAIM_SECONDS, 0.8 * CLAIM_SECONDS, in_session=True)
                self._database_ids[connection] = database_identity.of(connection)
        return connection

    def _patience_seconds(self) -> float:
        """Until the next poll, or until the back-off of a job or a connection is over, of which nobody notifies."""
        seconds = min(self._config.poll_seconds, self._work_connections.seconds_until_growth())
        if seconds > SELDOM_SECONDS and (due := self._recovery.seconds_until_due()) is not None:
            # A job that is due and was not claimed waits for something else than its time.
            seconds = min(seconds, due) if due > 0 else min(seconds, SELDOM_SECONDS)
        return seconds

    def _connect(self, role: str) -> Connection:
        return db.connect(self._config.database_url, self._role(role))

    def _wait(self, listeners: list[Connection], seconds: float) -> None:
        self._watchdog.tick()
        for listener in self._pipe.wait(listeners, seconds):
            # One round is enough: the claims that follow work off whatever the notifications were about.
            list(listener.notifies(timeout=0))

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_signals += 1
        self._stopped_at = self._stopped_at or time.monotonic()
        self._pipe.wake()

    def _shut_down(self) -> None:
        """Let running jobs finish within the grace period or until a second signal, then hand them on."""
        logger.info("worker stopping", extra={"worker": self.name, "running": len(self._pool)})
        self._sweep.stop()
        self._orphaned_uploads.stop()
        # Counted from the signal, as the platform does.
        since = self._stopped_at or time.monotonic()
        self._await_jobs(since + self._config.shutdown_grace_seconds - time.monotonic(), signals=1)
        self._orphaned_uploads.release()
        reason = WorkerStopping("The worker is shutting down.")
        self._pool.stop(reason)
        self._await_jobs(STOPPING_SECONDS[0])
        self._pool.cut(reason)
        self._await_jobs(STOPPING_SECONDS[1])
        self._heartbeat.stop()
        self._watchdog.stop()
        self._work_connections.close_idle()
        for own in self._own_connections:
            own.close()
        logger.info("worker stopped", extra={"worker": self.name, "abandoned": len(self._pool)})

    def _await_jobs(self, seconds: float, signals: int | None = None) -> None:
        """Wait until nothing runs, at most `seconds`, and no longer than until more than `signals` have come."""
        deadline = time.monotonic() + seconds
        while (self._pool or self._orphaned_uploads) and (left := deadline - time.monotonic()) > 0:
            if signals is not None and self._stop_signals > signals:
                return
            self._wait([], min(left, 1.0))

    def _role(self, role: str) -> str:
        return f"dataflow/{self.name}/{role}"
