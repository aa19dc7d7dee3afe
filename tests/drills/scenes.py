"""How drills begin: two workers, and an import that has come to a certain place in one of them."""

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
    """An import, the worker that has it, and one that could take it over."""

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
    return _scene(rig, sent, workers)


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
    return _scene(rig, sent, workers)


@contextmanager
def locked_import(rig: Rig, patience: Patience = DEFAULT, settings: Settings = None) -> Iterator[Scene]:
    """The COPY waits for a lock on contacts that is held as long as the block runs."""
    with db.connect(rig.url, "drill/lock") as locker, locker.transaction():
        locker.execute("LOCK TABLE contacts IN SHARE MODE")
        workers = rig.start(2, patience, settings=settings)
        sent = rig.put()
        waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'contacts'::regclass"
        eventually(lambda: rig.connection.execute(waiting).fetchone() is not None)
        yield _scene(rig, sent, workers)


def _scene(rig: Rig, sent: Sent, workers: list[Worker]) -> Scene:
    holder = rig.worker_in(rig.wait_for(sent, "running"))
    [other] = [worker for worker in workers if worker is not holder]
    return Scene(sent, holder, other)


def wait_until_asked(double: StorageDouble, method: str, path: str = "") -> None:
    """Return when such a request has come to the storage, answered or not."""
    eventually(lambda: any(entry["method"] == method and path in entry["path"] for entry in double.journal()))


def assert_taken_over(rig: Rig, sent: Sent) -> None:
    """It took a second attempt, and the first is put down to a worker that was lost, which costs nothing."""
    job = rig.job(sent)
    assert (job["attempt"], job["failures"], job["losses"]) == (2, 0, 1), job
