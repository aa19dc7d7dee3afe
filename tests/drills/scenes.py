"""How drills begin: two workers, and a job that has come to a certain place in one of them; and how such jobs end."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from dataflow import db
from tests.doubles.storage.process import StorageDouble
from tests.drills.holds import Place, hold, wait_until_held
from tests.drills.rig import READ, Rig
from tests.drills.sending import Sent
from tests.drills.workers import DEFAULT, Patience, Worker
from tests.support.waiting import eventually

Settings = Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Scene:
    """A job, the worker that has it, and one that could take it over."""

    sent: Sent
    holder: Worker
    other: Worker

    def kill_holder(self) -> float:
        """Kill it as a crash would; when that was."""
        killed_at = time.monotonic()
        self.holder.kill()
        return killed_at


def held_import(
    rig: Rig, place: Place = "copy", patience: Patience = DEFAULT, settings: Settings = None, count: int = 1
) -> Scene:
    """The server has come to `place`, `count` times, and comes no further; another attempt would."""
    hold(rig.connection, place, count)
    workers = rig.start(2, patience, settings=settings)
    sent = rig.put(is_marked=True)
    wait_until_held(rig.connection, count)
    return scene_of(rig, sent, workers)


#: A place in the middle of a file of STALLED_ROWS, behind the MiB that is read before the first row is copied.
MIDDLE_BYTES, STALLED_ROWS = 1_200_000, 60_000


def stalled_import(rig: Rig, after_bytes: int | None = None, patience: Patience = DEFAULT) -> Scene:
    """The storage does not answer, or stops in the middle of the file; to another attempt it gives all."""
    double = rig.use_double()
    double.fault("stall", "GET", READ, after_bytes=after_bytes)
    workers = rig.start(2, patience)
    sent = rig.put(rows=STALLED_ROWS)
    wait_until_asked(double, "GET", READ)
    if after_bytes:
        copying = "SELECT FROM pg_stat_progress_copy WHERE datname = current_database() AND tuples_processed > 0"
        eventually(lambda: rig.connection.execute(copying).fetchone() is not None)
    return scene_of(rig, sent, workers)


@contextmanager
def locked_import(rig: Rig, patience: Patience = DEFAULT, settings: Settings = None) -> Iterator[Scene]:
    """The COPY waits for a lock on contacts that is held as long as the block runs."""
    with db.connect(rig.url, "drill/lock") as locker, locker.transaction():
        locker.execute("LOCK TABLE contacts IN SHARE MODE")
        workers = rig.start(2, patience, settings=settings)
        sent = rig.put()
        waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'contacts'::regclass"
        eventually(lambda: rig.connection.execute(waiting).fetchone() is not None)
        yield scene_of(rig, sent, workers)


def scene_of(rig: Rig, sent: Sent, workers: list[Worker]) -> Scene:
    holder = rig.worker_in(rig.wait_for(sent, "running"))
    [other] = [worker for worker in workers if worker is not holder]
    return Scene(sent, holder, other)


def wait_until_asked(double: StorageDouble, method: str, path: str = "") -> None:
    """Return when such a request has come to the storage, answered or not."""
    eventually(lambda: any(entry["method"] == method and path in entry["path"] for entry in double.journal()))


def wait_until_put_off(rig: Rig, sent: Sent, code: str) -> None:
    """Return when it waits for another attempt, because the first has failed with this code."""
    eventually(lambda: rig.job(sent)["failures"] >= 1)
    job = rig.job(sent)
    assert (job["state"], job["error"].partition(":")[0]) == ("queued", code), job


def retried(rig: Rig, sent: Sent) -> float:
    """Seconds from the end of the trouble until the job is done; in a test it need not wait out its delay."""
    began = time.monotonic()
    if rig.is_quick:
        rig.hurry(sent)
    return rig.wait_until_done(sent, since=began)


def killed(rig: Rig, holder: Worker, sent: Sent) -> float:
    """Seconds from the crash of its worker until another has done the job."""
    killed_at = time.monotonic()
    holder.kill()
    seconds = rig.wait_until_done(sent, since=killed_at)
    assert_taken_over(rig, sent)
    return seconds


def stopped(rig: Rig, holder: Worker, sent: Sent) -> float:
    """Seconds until its worker, told to, has handed the job on, which costs the job nothing."""
    began = time.monotonic()
    assert holder.stop() == 0
    seconds = time.monotonic() - began
    rig.wait_until_done(sent)
    job = rig.job(sent)
    assert (job["attempt"], job["failures"], job["losses"]) == (2, 0, 0), job
    return seconds


def assert_taken_over(rig: Rig, sent: Sent) -> None:
    """It took a second attempt, and the first is put down to a worker that was lost, which costs nothing."""
    job = rig.job(sent)
    assert (job["attempt"], job["failures"], job["losses"]) == (2, 0, 1), job
