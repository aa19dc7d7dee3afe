"""Imports that are told to stop: by the platform, which ends their worker, and by a person in psql."""

import time

from tests.drills.drill import drill
from tests.drills.rig import Rig
from tests.drills.scenes import MIDDLE_BYTES, Scene, held_import, locked_import, stalled_import
from tests.drills.sending import Sent
from tests.drills.workers import Worker
from tests.support.waiting import eventually

#: What the platform gives a process between SIGTERM and SIGKILL.
EXIT_SECONDS = 30.0
#: From the requeue until a worker that is free has the job.
HANDOVER_SECONDS = 1.0
#: A heartbeat, and what it sets off.
BEAT_BAR_SECONDS = 8.0


@drill(bar_seconds=EXIT_SECONDS, rounds=2, quick_rounds=0)
def sigterm_in_copy(rig: Rig) -> float:
    """SIGTERM mid-COPY, the server at work on a row."""
    scene = held_import(rig, settings=_grace(rig))
    seconds = _end(scene.holder)
    rig.wait_until_done(scene.sent)
    _assert_handed_on(rig, scene.sent)
    return seconds


@drill(bar_seconds=EXIT_SECONDS, rounds=2)
def sigterm_in_lock_wait(rig: Rig) -> float:
    """SIGTERM while the COPY waits for a lock on contacts."""
    with locked_import(rig, settings=_grace(rig)) as scene:
        seconds = _end(scene.holder)
        rig.wait_for(scene.sent, "running", attempt=2)
    rig.wait_until_done(scene.sent)
    _assert_handed_on(rig, scene.sent)
    return seconds


def _grace(rig: Rig) -> dict[str, object]:
    return {"SHUTDOWN_GRACE_SECONDS": 0} if rig.is_quick else {}


def _end(worker: Worker) -> float:
    """Seconds from SIGTERM to an orderly exit."""
    began = time.monotonic()
    assert worker.stop() == 0
    return time.monotonic() - began


def _assert_handed_on(rig: Rig, sent: Sent) -> None:
    job = rig.job(sent)
    assert (job["attempt"], job["failures"], job["losses"]) == (2, 0, 0), job
    # Handing on sets run_at, by the same clock.
    assert (job["started_at"] - job["run_at"]).total_seconds() < HANDOVER_SECONDS, job


@drill(bar_seconds=BEAT_BAR_SECONDS, rounds=3, quick_rounds=0)
def cancel_in_copy(rig: Rig) -> float:
    """Cancelled in psql mid-COPY."""
    return _cancel(rig, held_import(rig, patience=rig.patience))


@drill(bar_seconds=BEAT_BAR_SECONDS, rounds=3)
def cancel_in_download(rig: Rig) -> float:
    """Cancelled in psql while the storage stalls."""
    return _cancel(rig, stalled_import(rig, after_bytes=MIDDLE_BYTES, patience=rig.patience))


@drill(bar_seconds=BEAT_BAR_SECONDS, rounds=3)
def cancel_in_lock_wait(rig: Rig) -> float:
    """Cancelled in psql while the COPY waits for a lock on contacts."""
    with locked_import(rig, patience=rig.patience) as scene:
        return _cancel(rig, scene)


def _cancel(rig: Rig, scene: Scene) -> float:
    """Seconds until the import has stopped, in the worker and in the server."""
    at_work = "SELECT FROM pg_stat_progress_copy WHERE pid = %s"
    pid = rig.job(scene.sent)["backend_pid"]
    scene.sent.ends = "cancelled"
    began = time.monotonic()
    rig.connection.execute("UPDATE jobs SET state = 'cancelled' WHERE id = %s", [scene.sent.id])
    eventually(lambda: '"message": "import given up"' in scene.holder.log())
    eventually(lambda: rig.connection.execute(at_work, [pid]).fetchone() is None)
    return time.monotonic() - began


@drill(bar_seconds=1, rounds=3)
def cancel_statement(rig: Rig) -> float:
    """pg_cancel_backend mid-COPY."""
    scene = held_import(rig)
    scene.sent.ends = "cancelled"
    rig.connection.execute("SELECT pg_cancel_backend(backend_pid) FROM jobs WHERE id = %s", [scene.sent.id])
    seconds = rig.wait_until_done(scene.sent)
    job = rig.job(scene.sent)
    assert (job["attempt"], job["failures"]) == (1, 0), job
    return seconds
