"""The listener: claims due jobs and runs each in a thread with a connection of its own.

NOTIFY is a hint, the table is the truth: the loop claims until nothing is due, then waits for a notification, a
finished import, a signal, or the poll interval, whichever comes first. What happens to a claimed job is left to
`slot`.
"""

import gc
import logging
import os
import random
import secrets
import select
import signal
import socket
import threading
import time
from types import FrameType
from typing import Any

import psycopg

from dataflow import db, jobs
from dataflow.config import Config
from dataflow.db import Connection
from dataflow.errors import DatabaseError, DatabaseUnavailable, ImportStopped
from dataflow.heartbeat import Heartbeat
from dataflow.importer import Attempt
from dataflow.slot import Slot
from dataflow.storage import Storage

logger = logging.getLogger(__name__)

#: First and longest wait before connecting again, in seconds.
RECONNECT_SECONDS = (0.1, 10.0)
#: After the grace period, the time for stopped imports to roll back and hand their jobs on.
ROLLBACK_SECONDS = 4.0


def worker_name(config: Config) -> str:
    """Host or dyno, process and boot: names come back after a restart, and a new life must not look like the old."""
    host = config.dyno or socket.gethostname().partition(".")[0]
    return f"{host[:24]}.{os.getpid()}.{secrets.token_hex(2)}"


class Worker:
    """One process's worth of imports, at most `config.worker_concurrency` at a time."""

    def __init__(self, config: Config, storage: Storage) -> None:
        self.name = worker_name(config)
        self._config = config
        self._slot = Slot(config, storage)
        self._attempts: dict[threading.Thread, Attempt] = {}
        self._failed_jobs = 0
        self._idle: list[Connection] = []  #: connected ahead, at most one, so that a claim need not wait for it
        self._stop_signals = 0
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._heartbeat = Heartbeat(config.database_url, self._role("beat"), self._running_attempts)

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
        try:
            self._serve_until_stopped(once)
        finally:
            self._shut_down()
        return 1 if once and self._failed_jobs else 0

    def _serve_until_stopped(self, once: bool) -> None:
        """Serve, connecting again for as long as the database comes and goes; with `once` its absence is an error."""
        delay, longest = RECONNECT_SECONDS
        while not self._stop_signals:
            try:
                with db.connect(self._config.database_url, self._role("listen")) as listener:
                    delay = RECONNECT_SECONDS[0]
                    self._serve(listener, once)
                return
            except (DatabaseUnavailable, psycopg.OperationalError) as error:
                if once:
                    raise
                self._drop_idle()
                logger.warning("database lost", extra={"error": str(error), "retry_seconds": round(delay, 1)})
                self._wait([], delay * random.uniform(0.5, 1.5))  # noqa: S311 - spreads reconnects, guards nothing
                delay = min(2 * delay, longest)

    def _serve(self, listener: Connection, once: bool) -> None:
        jobs.listen(listener)
        self._log_connections(listener)
        logger.info("worker ready", extra={"worker": self.name, "slots": self._config.worker_concurrency})
        while not self._stop_signals:
            self._fill_slots()
            if once and not self._attempts:
                return
            self._wait([listener], self._config.poll_seconds)

    def _fill_slots(self) -> None:
        while len(self._attempts) < self._config.worker_concurrency and not self._stop_signals:
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                with db.translated():
                    job = jobs.claim(connection, self.name)
            except DatabaseError:
                connection.close()
                raise
            if job is None:
                self._idle.append(connection)
                return
            attempt = Attempt(job)
            # Daemons, because a thread that hangs in a dead connection must not keep the process from ending.
            thread = threading.Thread(target=self._work, args=(connection, attempt), daemon=True)
            self._attempts[thread] = attempt
            thread.start()

    def _connect(self) -> Connection:
        return db.connect(self._config.database_url, self._role("work"))

    def _wait(self, listeners: list[Connection], seconds: float) -> None:
        """Wait until something may have become due; takes in whatever the listener was told."""
        sources: list[Any] = [*listeners, self._wake_reader]
        readable, _, _ = select.select(sources, [], [], seconds)
        if self._wake_reader in readable:
            os.read(self._wake_reader, 4096)
        for listener in listeners:
            if listener in readable:
                # One round is enough: the claims that follow work off whatever the notifications were about.
                list(listener.notifies(timeout=0))

    def _wake(self) -> None:
        try:
            os.write(self._wake_writer, b"\0")
        except BlockingIOError:
            logger.debug("wake-up pending already")

    def _work(self, connection: Connection, attempt: Attempt) -> None:
        """The thread of one import."""
        try:
            if not self._slot.work(connection, attempt):
                self._failed_jobs += 1
        finally:
            # Before the attempt goes from the list: whoever finds that empty closes what is idle.
            if self._idle or connection.broken:
                connection.close()
            else:
                self._idle.append(connection)
            del self._attempts[threading.current_thread()]
            self._wake()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_signals += 1
        self._wake()

    def _shut_down(self) -> None:
        """Let running imports finish within the grace period or until a second signal, then hand on their jobs."""
        logger.info("worker stopping", extra={"worker": self.name, "running": len(self._attempts)})
        deadline = time.monotonic() + self._config.shutdown_grace_seconds
        while self._attempts and self._stop_signals < 2 and time.monotonic() < deadline:
            self._wait([], deadline - time.monotonic())
        for attempt in self._running_attempts():
            attempt.stop(ImportStopped("The worker is shutting down."))
        deadline = time.monotonic() + ROLLBACK_SECONDS
        while self._attempts and time.monotonic() < deadline:
            self._wait([], deadline - time.monotonic())
        self._heartbeat.stop()
        self._drop_idle()
        logger.info("worker stopped", extra={"worker": self.name, "abandoned": len(self._attempts)})

    def _running_attempts(self) -> list[Attempt]:
        return list(self._attempts.values())

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _role(self, role: str) -> str:
        return f"dataflow/{self.name}/{role}"

    def _log_connections(self, connection: Connection) -> None:
        """Say how many connections our processes may open, and whether the server has room for them."""
        web, work = self._config.web_concurrency * (db.POOL_CONNECTIONS + 1), self._config.worker_concurrency + 2
        free = db.free_connections(connection)
        level = logging.WARNING if web + work > free else logging.INFO
        logger.log(level, "connections planned", extra={"web": web, "worker": work, "server_allows": free})
