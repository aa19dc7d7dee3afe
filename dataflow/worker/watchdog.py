"""Ends what waits for something that never comes: an attempt, or the whole process.

Some faults raise no error anywhere: a network that acknowledges and swallows, a storage client that hangs, a bug. The
thread here asks no database and no storage, so that it cannot hang with them. An attempt that stands still is cut
first, because it may only wait for somebody's lock. When that does not help, or when the loop stands still, the process
ends: the platform starts another, and every job that was running is reclaimed.
"""

import faulthandler
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable

from dataflow.config import Config
from dataflow.errors import JobError, LeaseLost
from dataflow.queue import leases
from dataflow.queue.attempt import Attempt

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
LOOP_SECONDS = 60.0  #: for so long the loop may be silent, or for three polls when that is more
CUT_SECONDS = 60.0  #: after which an attempt that was cut should have ended
SAYING_SECONDS = 2.0  #: a log that nobody reads must not keep the process
EXIT_STUCK = 70  #: EX_SOFTWARE of sysexits.h


class Watchdog:
    """Looks every LOOK_SECONDS whether the loop ticks, attempts move and their leases are confirmed."""

    def __init__(
        self,
        attempts: Callable[[], Iterable[Attempt]],
        config: Config,
        leave: Callable[[int], object] = os._exit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempts = attempts
        self._loop_seconds = max(3 * config.poll_seconds, LOOP_SECONDS)
        self._import_seconds = config.import_stall_seconds
        self._leave = leave
        self._clock = clock
        self._ticked_at = self._looked_at = clock()
        self._positions: dict[Attempt, tuple[tuple[int, ...], float]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def tick(self) -> None:
        self._ticked_at = self._clock()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        now, attempts = self._clock(), list(self._attempts())
        self._give_up_unconfirmed(attempts, now)
        if now - self._looked_at > LOOP_SECONDS / 2:
            # The whole process was stopped meanwhile, and nobody could have ticked.
            self._ticked_at, self._positions = now, {}
        self._looked_at = now
        if now - self._ticked_at > self._loop_seconds:
            self._end_process("its loop", now - self._ticked_at)
        for attempt, since in self._still(attempts, now):
            if now - since > self._import_seconds + CUT_SECONDS:
                self._end_process(f"job {attempt.job.id}", now - since)
            elif now - since > self._import_seconds and attempt.stopped is None:
                reason = f"; it waits for {attempt.waits_for}." if attempt.waits_for else "."
                attempt.cut(
                    JobError(
                        f"The {attempt.job.kind} has not moved for {now - since:.0f} s{reason}", code="import_stalled"
                    )
                )
                facts: dict[str, object] = {"job_id": str(attempt.job.id), "waits_for": attempt.waits_for}
                self._say(logging.WARNING, f"{attempt.job.kind} stalled", facts)

    def _give_up_unconfirmed(self, attempts: Iterable[Attempt], now: float) -> None:
        # Others may have taken them over: whoever cannot beat cannot know.
        for attempt in attempts:
            if attempt.connection is None or attempt.stopped is not None:
                continue
            if now - attempt.confirmed > leases.LEASE_SECONDS:
                attempt.cut(LeaseLost(f"No heartbeat was confirmed for {leases.LEASE_SECONDS:g} s."))
                log: dict[str, object] = {"job_id": str(attempt.job.id)}
                self._say(logging.WARNING, f"{attempt.job.kind} given up without a heartbeat", log)

    def _still(self, attempts: Iterable[Attempt], now: float) -> list[tuple[Attempt, float]]:
        """Each attempt, and since when it has been where it is."""
        before, self._positions = self._positions, {}
        for attempt in attempts:
            position = attempt.position
            known, since = before.get(attempt, (None, now))
            self._positions[attempt] = (position, since if known == position else now)
        return [(attempt, since) for attempt, (_, since) in self._positions.items()]

    def _end_process(self, what: str, seconds: float) -> None:
        facts = {"what": what, "still_for_seconds": round(seconds)}
        self._say(logging.CRITICAL, "worker stuck", facts, faulthandler.dump_traceback)
        self._leave(EXIT_STUCK)

    def _say(
        self, level: int, message: str, facts: dict[str, object], also: Callable[[], object] | None = None
    ) -> None:
        # In a thread that may hang instead of this one.
        def say() -> None:
            logger.log(level, message, extra=facts)
            if also is not None:
                also()

        saying = threading.Thread(target=say, daemon=True)
        saying.start()
        saying.join(SAYING_SECONDS)
