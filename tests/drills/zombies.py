"""Workers that come back, or come late, when others have done their work."""

import time

from tests.drills.drill import drill
from tests.drills.holds import let_go
from tests.drills.rig import Rig
from tests.drills.scenes import Scene, held_import
from tests.support.waiting import eventually

#: The lease, a poll, and the import.
BAR_SECONDS = 33.0


@drill(bar_seconds=BAR_SECONDS, rounds=2)
def freeze_in_copy(rig: Rig) -> float:
    """SIGSTOP mid-COPY past the lease, then SIGCONT."""
    scene = held_import(rig, patience=rig.patience)
    scene.holder.freeze()
    return _taken_over_seconds(rig, scene)


@drill(bar_seconds=BAR_SECONDS, rounds=2)
def freeze_in_beat(rig: Rig) -> float:
    """SIGSTOP between a heartbeat and its COMMIT: the frozen worker holds the lock on the row of its job."""
    scene = held_import(rig, "beat", patience=rig.patience, count=2)
    scene.holder.freeze()
    let_go(rig.connection)
    return _taken_over_seconds(rig, scene)


def _taken_over_seconds(rig: Rig, scene: Scene) -> float:
    """Seconds from the freeze until the other has done the job; wakes the frozen worker and sees that it gives up."""
    seconds = rig.wait_until_done(scene.sent, since=time.monotonic())
    assert rig.worker_in(rig.job(scene.sent)) is scene.other
    scene.holder.thaw()
    eventually(lambda: '"message": "import given up"' in scene.holder.log())
    _assert_works(rig, scene)
    return seconds


@drill(rounds=2, quick_rounds=0)
def freeze_in_commit(rig: Rig) -> None:
    """SIGSTOP inside COMMIT past the lease: nobody else may have the job."""
    scene = held_import(rig, "commit", patience=rig.patience)
    scene.holder.freeze()
    expired = (
        "SELECT FROM jobs WHERE state = 'running' AND heartbeat_at < clock_timestamp() - make_interval(secs => %s)"
    )
    lease = [rig.patience.lease_seconds + 1.0]
    eventually(lambda: rig.connection.execute(expired, lease).fetchone() is not None, 60)
    # Looking for lost jobs, the other one does not wait for that.
    rig.wait_until_done(rig.put(), seconds=2)
    let_go(rig.connection)
    rig.wait_until_done(scene.sent)
    scene.holder.thaw()
    _assert_works(rig, scene)
    assert rig.job(scene.sent)["attempt"] == 1


def _assert_works(rig: Rig, scene: Scene) -> None:
    """The worker is of use again, now that there is no other."""
    assert scene.other.stop() == 0
    sent = rig.put()
    rig.wait_until_done(sent)
    assert rig.worker_in(rig.job(sent)) is scene.holder


@drill(rounds=10)
def overtaken(rig: Rig) -> None:
    """Queued again in psql at the very moment of its success: only the fence is left."""
    scene = held_import(rig, "settling")
    rig.connection.execute("UPDATE jobs SET state = 'queued' WHERE id = %s", [scene.sent.id])
    rig.wait_until_done(scene.sent)
    let_go(rig.connection)
    eventually(lambda: '"message": "import given up"' in scene.holder.log())
    assert rig.job(scene.sent)["attempt"] == 2
