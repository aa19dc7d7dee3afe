"""PgBouncer in transaction mode in front of the server: nothing is heard, and no backend is anybody's."""

import time
from contextlib import AbstractContextManager

from tests.drills.drill import drill
from tests.drills.holds import let_go
from tests.drills.rig import Rig
from tests.drills.scenes import held_import
from tests.support.poolers import no_pgbouncer, pgbouncer
from tests.support.waiting import eventually

#: The lease, a poll, and the import.
BAR_SECONDS = 33.0
WARNING = '"message": "no notifications: '
POOL_SIZE = 6


@drill(rounds=3, quick_rounds=0, missing=no_pgbouncer)
def pooled(rig: Rig) -> None:
    """PgBouncer in front: two workers and many small jobs."""
    with _pooled(rig) as url:
        workers = rig.start(2, settings={"WORKER_CONCURRENCY": 2, "DATABASE_URL": url})
        for _ in range(20 if rig.is_quick else 200):
            rig.put(rows=50)
        rig.wait_until_done(*rig.sent)
        assert {rig.job(sent)["attempt"] for sent in rig.sent} == {1}
        rig.stop_workers()
        assert [worker.log().count(WARNING) for worker in workers] == [1, 1]


@drill(bar_seconds=BAR_SECONDS, rounds=2, quick_rounds=0, missing=no_pgbouncer)
def pooled_kill(rig: Rig) -> float:
    """PgBouncer in front: kill -9 mid-COPY, found by the lease."""
    with _pooled(rig) as url:
        scene = held_import(rig, patience=rig.patience, settings={"DATABASE_URL": url})
        job = rig.job(scene.sent)
        assert (job["backend_pid"], job["backend_start"]) == (None, None), job
        seconds = rig.wait_until_done(scene.sent, since=scene.kill_holder())
        assert '"by": "lease"' in scene.other.log()
        assert scene.other.log().count(WARNING) == 1
        rig.stop_workers()
    return seconds


@drill(bar_seconds=BAR_SECONDS, rounds=2, quick_rounds=0, missing=no_pgbouncer)
def pooled_freeze(rig: Rig) -> float:
    """PgBouncer in front: SIGSTOP mid-COPY past the lease, then SIGCONT; no backend can be ended."""
    with _pooled(rig) as url:
        scene = held_import(rig, patience=rig.patience, settings={"DATABASE_URL": url})
        scene.holder.freeze()
        seconds = rig.wait_until_done(scene.sent, since=time.monotonic())
        let_go(rig.connection)
        scene.holder.thaw()
        eventually(lambda: '"message": "import given up"' in scene.holder.log())
        assert scene.other.stop() == 0
        rig.wait_until_done(rig.put())
        rig.stop_workers()
    return seconds


def _pooled(rig: Rig) -> AbstractContextManager[str]:
    """URL of the round's database behind a PgBouncer of its own."""
    return pgbouncer(rig.url, rig.folder, POOL_SIZE)
