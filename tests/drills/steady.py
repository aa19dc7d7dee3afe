"""One fault after the other, of every kind, onto a few workers and a stream of jobs."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from uuid import UUID

from tests.doubles.storage.process import StorageDouble
from tests.drills.drill import drill
from tests.drills.ground import open_ground
from tests.drills.holds import pace
from tests.drills.rig import READ, Rig
from tests.drills.sending import Sent
from tests.drills.waits import Waits
from tests.drills.workers import Worker
from tests.support.waiting import eventually

BAR_SECONDS = 30.0
WORKERS, CONCURRENCY, MOST_UNFINISHED, KINDS = 3, 10, 18, 3
#: Of an import: at about 5,000 rows a second, from a moment up to long enough to lose several workers.
SIZES_ROWS = (300, 3_000, 10_000, 20_000)
ROUND_SECONDS, REST_SECONDS = 20.0, 90.0
#: Between two faults, and until what was stopped or stalled goes on.
PAUSE_SECONDS, HELD_SECONDS = (0.3, 2.0), (1.0, 8.0)
#: How a job may end that so many faults have met: its budget is spent, or its statement was cancelled.
ENDS = ("worker_lost: ", "database_unavailable: ", "storage_unavailable: ", "statement_cancelled: ")


@drill(bar_seconds=BAR_SECONDS, rounds=5, quick_rounds=0, ground=open_ground)
def steady_faults(rig: Rig) -> float:
    """A fault a second: kill, stop, SIGTERM, server restart, cut session, cancel, storage stall."""
    pace(rig.connection)
    rig.variables["WORKER_CONCURRENCY"] = str(CONCURRENCY)
    steady = Steady(rig, rig.use_double(), Waits(rig.connection))
    rig.start(WORKERS)
    steady.disturb(ROUND_SECONDS)
    steady.rest()
    waits = steady.waits.all(rig.connection)
    seconds, longest = max(waits)
    [sent] = [sent for sent in rig.sent if sent.id == longest]
    usual, losses, rows = median(seconds for seconds, _ in waits), rig.job(sent)["losses"], len(sent.emails)
    print(
        f"[{len(rig.sent)} jobs, waits {usual:.2f} to {seconds:.2f} s: {rows} rows, {losses} losses]",
        end="",
        flush=True,
    )
    return seconds


@dataclass(slots=True)
class Steady:
    """A stream of jobs, and what disturbs it."""

    rig: Rig
    double: StorageDouble
    waits: Waits
    _held: list[tuple[float, Callable[[], object]]] = field(default_factory=list)  #: when what is to go on
    _away: set[Worker] = field(default_factory=set)  #: stopped, or told to end

    def disturb(self, seconds: float) -> None:
        """Put in jobs and faults for so long: those of a round are of a few kinds, so that some lose many workers."""
        kinds = (self._kill, self._freeze, self._terminate, self._restart, self._cut, self._cancel, self._stall)
        faults = random.sample(kinds, KINDS)
        fault_at = (now := time.monotonic()) + 1.0
        deadline = now + seconds
        while (now := time.monotonic()) < deadline:
            self._let_go_on(now)
            self.rig.supervise(WORKERS)
            if now >= fault_at:
                random.choice(faults)()
                fault_at = time.monotonic() + random.uniform(*PAUSE_SECONDS)
            self._feed()
            time.sleep(0.05)

    def _feed(self) -> None:
        if len(self._unfinished()) < MOST_UNFINISHED:
            self.rig.put(rows=random.choice(SIZES_ROWS))

    def rest(self) -> None:
        """No more faults: return when every job has ended, and see that none has without a reason.

        Until those are over that a fault can have touched, more come in: whoever waits for an idle worker waits for it
        among others.
        """
        self._let_go_on(float("inf"))
        touched = list(self.rig.sent)
        eventually(lambda: self._have_ended(touched, self._feed), REST_SECONDS, every_seconds=0.05)
        eventually(lambda: self._have_ended(self.rig.sent), REST_SECONDS, every_seconds=0.05)
        for sent in self.rig.sent:
            job = self.rig.job(sent)
            assert job["state"] == "succeeded" or job["error"].startswith(ENDS), job
            sent.ends = job["state"]

    def _have_ended(self, jobs: Sequence[Sent], feed: Callable[[], object] = lambda: None) -> bool:
        self.rig.supervise(WORKERS)
        feed()
        unfinished = self._unfinished()
        for sent in (waiting := [sent for sent in jobs if sent.id in unfinished]):
            self.rig.hurry(sent)
        return not waiting

    def _let_go_on(self, now: float) -> None:
        due = [go_on for at, go_on in self._held if at <= now]
        self._held = [(at, go_on) for at, go_on in self._held if at > now]
        for go_on in due:
            go_on()

    def _hold_until_later(self, go_on: Callable[[], object]) -> None:
        self._held.append((time.monotonic() + random.uniform(*HELD_SECONDS), go_on))

    def _kill(self) -> None:
        victim = random.choice([worker for worker in self.rig.workers if worker.is_alive()])
        victim.kill()
        self._touch_jobs_of(str(victim.pid))

    def _freeze(self) -> None:
        for victim in self._spare():
            victim.freeze()
            self._away.add(victim)
            self._touch_jobs_of(str(victim.pid))
            self._hold_until_later(lambda: self._thaw(victim))  # noqa: B023 - there is one at most

    def _thaw(self, victim: Worker) -> None:
        self._away.discard(victim)
        victim.thaw()
        self._touch_jobs_of(str(victim.pid))

    def _terminate(self) -> None:
        for victim in self._spare():
            victim.terminate()
            self._away.add(victim)
            self._touch_jobs_of(str(victim.pid))

    def _restart(self) -> None:
        self.rig.restart(is_crash=random.random() < 0.5)
        self.waits.touch(self._unfinished())

    def _cut(self) -> None:
        self._signal_session("pg_terminate_backend")

    def _cancel(self) -> None:
        self._signal_session("pg_cancel_backend")

    def _signal_session(self, function: str) -> None:
        name = "split_part(application_name, '.', 2)"
        ours = "datname = current_database() AND application_name LIKE 'dataflow/%'"
        chosen = f"SELECT {name} AS worker, {function}(pid) FROM (SELECT * FROM pg_stat_activity WHERE {ours}"
        for row in self.rig.connection.execute(f"{chosen} ORDER BY random() LIMIT 1) one".encode()).fetchall():
            self._touch_jobs_of(row["worker"])

    def _stall(self) -> None:
        self.double.fault("stall", "GET", READ, times=random.randint(1, 3))
        self.waits.touch(self._unfinished())
        self._hold_until_later(self._end_stall)

    def _end_stall(self) -> None:
        self.double.clear_faults()
        self.double.release()
        self.waits.touch(self._unfinished())

    def _spare(self) -> Iterator[Worker]:
        """One of the workers at work, when others are; that is ready, so that it knows what SIGTERM means."""
        here = [each for each in self.rig.workers if each.is_alive() and each not in self._away and each.ready()]
        if len(here) > 1:
            yield random.choice(here)

    def _touch_jobs_of(self, pid: str) -> None:
        running = "SELECT id FROM jobs WHERE state = 'running' AND split_part(worker, '.', 2) = %s"
        self.waits.touch(self._ids(running, [pid]))

    def _unfinished(self) -> set[UUID]:
        return self._ids("SELECT id FROM jobs WHERE finished_at IS NULL", [])

    def _ids(self, statement: str, values: list[Any]) -> set[UUID]:
        return {row["id"] for row in self.rig.connection.execute(statement.encode(), values).fetchall()}
