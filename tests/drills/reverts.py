"""Imports that are being undone when their worker is killed or stopped, or when somebody cancels that."""

import time
from dataclasses import dataclass

from dataflow.imports.revert import order
from dataflow.queue.scope import ALL
from tests.drills.drill import drill
from tests.drills.holds import hold, wait_until_held
from tests.drills.rig import Rig
from tests.drills.scenes import killed, stopped
from tests.drills.sending import Sent
from tests.drills.stops import BEAT_BAR_SECONDS, EXIT_SECONDS
from tests.drills.workers import Worker
from tests.support.waiting import eventually

BAR_SECONDS = 5.0
#: The row that is held comes after the first steps, which delete 10, 100 and 1,000.
QUICK_ROWS, ROWS = 3_000, 100_000


@dataclass(frozen=True, slots=True)
class Scene:
    """An import that has been undone in part, the job that does it and the worker that has that."""

    undone: Sent
    revert: Sent
    holder: Worker
    rows_before: int  #: that are gone already


def _held_revert(rig: Rig) -> Scene:
    """The server has come to a row in the middle, and comes no further; another attempt would."""
    workers = rig.start(2, rig.patience)
    rig.put()
    undone = rig.put(QUICK_ROWS if rig.is_quick else ROWS, is_marked=True)
    rig.wait_until_done(*rig.sent)
    hold(rig.connection, "delete")
    revert = _revert(rig, undone)
    # What is left of it in the end would be counted as rows too many.
    rig.sent.remove(undone)
    wait_until_held(rig.connection)
    holder = rig.worker_in(rig.wait_for(revert, "running"))
    assert holder in workers
    rows_before = rig.job(undone)["reverted_rows"]
    assert 0 < rows_before == rig.job(revert)["reverted_rows"]
    return Scene(undone, revert, holder, rows_before)


def _revert(rig: Rig, undone: Sent) -> Sent:
    """What POST /jobs/{id}/revert does; a job that imports nothing."""
    revert = Sent(order(rig.connection, undone.id, ALL), undone.source, ())
    rig.sent.append(revert)
    return revert


def _assert_undone(rig: Rig, undone: Sent, *reverts: Sent) -> None:
    """Completely, and each contact was counted once."""
    job = rig.job(undone)
    assert job["reverted_at"] is not None, job
    counts = [rig.job(revert)["reverted_rows"] for revert in reverts]
    assert job["reverted_rows"] == sum(counts) == len(undone.emails), (job, counts)


@drill(bar_seconds=BAR_SECONDS)
def kill_in_revert(rig: Rig) -> float:
    """kill -9 mid-revert, the server at work on a row."""
    scene = _held_revert(rig)
    seconds = killed(rig, scene.holder, scene.revert)
    _assert_undone(rig, scene.undone, scene.revert)
    return seconds


@drill(bar_seconds=EXIT_SECONDS, rounds=2, quick_rounds=0)
def sigterm_in_revert(rig: Rig) -> float:
    """SIGTERM mid-revert, the server at work on a row."""
    scene = _held_revert(rig)
    seconds = stopped(rig, scene.holder, scene.revert)
    _assert_undone(rig, scene.undone, scene.revert)
    return seconds


@drill(bar_seconds=BEAT_BAR_SECONDS, rounds=3)
def cancel_in_revert(rig: Rig) -> float:
    """Cancelled in psql mid-revert, then asked for again."""
    scene = _held_revert(rig)
    scene.revert.ends = "cancelled"
    began = time.monotonic()
    rig.connection.execute("UPDATE jobs SET state = 'cancelled' WHERE id = %s", [scene.revert.id])
    eventually(lambda: '"message": "revert given up"' in scene.holder.log())
    seconds = time.monotonic() - began
    job = rig.job(scene.undone)
    assert (job["reverted_rows"], job["reverted_at"]) == (scene.rows_before, None), job
    again = _revert(rig, scene.undone)
    assert again.id != scene.revert.id
    rig.wait_until_done(again)
    _assert_undone(rig, scene.undone, scene.revert, again)
    return seconds
