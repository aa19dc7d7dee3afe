"""kill -9 of the worker: at every point where it may hurt, and at any moment."""

import random
import time
from uuid import UUID

from dataflow.queue import retention
from tests.drills.drill import drill
from tests.drills.holds import let_go, pace
from tests.drills.rig import DEADLINE_SECONDS, Rig
from tests.drills.scenes import (
    MIDDLE_BYTES,
    Scene,
    held_import,
    killed,
    stalled_import,
    wait_until_asked,
)
from tests.drills.sending import Sent
from tests.drills.workers import Worker
from tests.support.waiting import eventually

BAR_SECONDS = 5.0
RANDOM_KILLS = 30
#: Of the stream of jobs: few enough that workers are idle now and then, as a job that has lost two runs alone.
MOST_UNFINISHED = 4


def _take_over(rig: Rig, scene: Scene) -> float:
    return killed(rig, scene.holder, scene.sent)


@drill(bar_seconds=BAR_SECONDS)
def kill_after_claim(rig: Rig) -> float:
    """kill -9 just after the claim, the storage not having answered."""
    return _take_over(rig, stalled_import(rig, patience=rig.patience))


@drill(bar_seconds=BAR_SECONDS, quick_rounds=0)
def kill_in_download(rig: Rig) -> float:
    """kill -9 mid-COPY, the server waiting for rows."""
    return _take_over(rig, stalled_import(rig, after_bytes=MIDDLE_BYTES, patience=rig.patience))


@drill(bar_seconds=BAR_SECONDS)
def kill_in_copy(rig: Rig) -> float:
    """kill -9 mid-COPY, the server at work on a row."""
    return _take_over(rig, held_import(rig))


@drill(bar_seconds=BAR_SECONDS)
def kill_in_commit(rig: Rig) -> float:
    """kill -9 inside COMMIT, which the server then gives up."""
    return _take_over(rig, held_import(rig, "commit", rig.patience))


@drill(bar_seconds=BAR_SECONDS)
def kill_in_last_commit(rig: Rig) -> float:
    """kill -9 inside COMMIT, which succeeds all the same."""
    scene = held_import(rig, "commit")
    killed_at = scene.kill_holder()
    let_go(rig.connection)
    seconds = rig.wait_until_done(scene.sent, since=killed_at)
    assert_swept(rig, scene.sent)
    return seconds


@drill()
def kill_before_delete(rig: Rig) -> None:
    """kill -9 between commit and delete, the storage stalling that."""
    double = rig.use_double()
    double.fault("stall", "DELETE")
    rig.start(2)
    sent = rig.put()
    rig.wait_until_done(sent)
    wait_until_asked(double, "DELETE")
    rig.worker_in(rig.job(sent)).kill()
    assert_swept(rig, sent)


def assert_swept(rig: Rig, sent: Sent) -> None:
    """The file of a job that has succeeded without its worker is known to be left, and the sweep removes it."""
    assert rig.job(sent)["attempt"] == 1
    assert [each.id for each in retention.leftovers(rig.connection, 0, 0)] == [sent.id]
    rig.sweep()
    assert rig.job(sent)["object_deleted_at"] is not None
    assert not rig.stored_files()


@drill(bar_seconds=BAR_SECONDS, rounds=1, quick_rounds=0)
def kill_at_random(rig: Rig) -> float:
    """kill -9 at random moments of a stream of jobs."""
    pace(rig.connection)
    rig.start()
    seconds = []
    for _ in range(RANDOM_KILLS):
        [victim] = rig.start()
        _stream(rig, random.uniform(0.1, 0.8))
        killed_at = time.monotonic()
        victim.kill()
        if interrupted := _left_by(rig, victim):
            _wait_until_run_again(rig, interrupted)
            seconds.append(time.monotonic() - killed_at)
    rig.wait_until_done(*rig.sent)
    assert len(seconds) > RANDOM_KILLS / 3, "hardly any of these hit a worker at work"
    return max(seconds)


def _stream(rig: Rig, seconds: float) -> None:
    """Put in jobs for so long, not more than are worked off."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if sum(rig.job(sent)["state"] != "succeeded" for sent in rig.sent[-MOST_UNFINISHED:]) < MOST_UNFINISHED:
            rig.put(rows=random.randrange(200, 1500))
        time.sleep(0.02)


def _left_by(rig: Rig, victim: Worker) -> dict[UUID, int]:
    """The jobs that a dead worker had, and in which attempt; but for those that had lost one before, and will wait."""
    left = "SELECT id, attempt FROM jobs WHERE state = 'running' AND losses = 0 AND split_part(worker, '.', 2) = %s"
    return {row["id"]: row["attempt"] for row in rig.connection.execute(left, [str(victim.pid)]).fetchall()}


def _wait_until_run_again(rig: Rig, interrupted: dict[UUID, int]) -> None:
    """Return when all these have been claimed again, or had been imported before the kill after all."""

    def run_again() -> bool:
        rows = rig.connection.execute("SELECT id, state, attempt FROM jobs WHERE id = ANY (%s)", [list(interrupted)])
        return all(row["state"] == "succeeded" or row["attempt"] > interrupted[row["id"]] for row in rows.fetchall())

    eventually(run_again, DEADLINE_SECONDS, every_seconds=0.005)
