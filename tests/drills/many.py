"""Many at once: workers over the same jobs, workers of the same name, processes that migrate."""

import os
import subprocess
import sys
import time

from dataflow import db
from tests.drills.drill import drill
from tests.drills.holds import hold, wait_until_held
from tests.drills.rig import Rig
from tests.drills.scenes import assert_taken_over
from tests.drills.workers import ROOT
from tests.support.waiting import eventually


@drill(rounds=3)
def two_workers(rig: Rig) -> None:
    """Two workers and 500 small jobs."""
    _work_off(rig, 2)


@drill(rounds=3, quick_rounds=0)
def four_workers(rig: Rig) -> None:
    """Four workers and 500 small jobs."""
    _work_off(rig, 4)


def _work_off(rig: Rig, count: int) -> None:
    """Each must have been claimed once."""
    rig.start(count)
    # All at once, so that all workers go for the same one.
    with rig.connection.transaction():
        for _ in range(150 if rig.is_quick else 500):
            rig.put(rows=3)
    rig.wait_until_done(*rig.sent)
    attempts = rig.connection.execute("SELECT attempt, count(*) FROM jobs GROUP BY attempt").fetchall()
    assert attempts == [{"attempt": 1, "count": len(rig.sent)}], attempts


@drill(bar_seconds=5)
def same_name(rig: Rig) -> float:
    """kill -9 mid-COPY of one of two workers of the same name."""
    hold(rig.connection)
    [victim] = rig.start(patience=rig.patience, name="twin")
    held = rig.put(is_marked=True)
    wait_until_held(rig.connection)
    rig.start(patience=rig.patience, name="twin")
    others = [rig.put(rows=3) for _ in range(20)]
    rig.wait_until_done(*others)
    assert rig.job(held)["worker"] == "twin"
    killed_at = time.monotonic()
    victim.kill()
    seconds = rig.wait_until_done(held, since=killed_at)
    assert_taken_over(rig, held)
    return seconds


MERGES = 20
#: The least that IMPORT_STALL_SECONDS may be, and how long no merge gets its turn.
STALL_SECONDS, HELD_SECONDS = 60, 75.0


@drill(rounds=1, quick_rounds=0)
def merges_in_a_queue(rig: Rig) -> None:
    """Twenty skip imports behind a merge that takes longer than an import may stand still."""
    for _ in range(MERGES):
        rig.put(rows=500)
    rig.connection.execute("""UPDATE jobs SET options = options || '{"onConflict": "skip"}'""")
    with db.connect(rig.url, "drill/merge") as holder, holder.transaction():
        holder.execute(db.query("staging/lock_merge"))
        workers = rig.start(2, settings={"IMPORT_STALL_SECONDS": STALL_SECONDS})
        holder.execute("SELECT pg_sleep(%s)", [HELD_SECONDS])
    rig.wait_until_done(*rig.sent)
    attempts = rig.connection.execute("SELECT attempt, count(*) FROM jobs GROUP BY attempt").fetchall()
    assert attempts == [{"attempt": 1, "count": MERGES}], attempts
    assert all("its turn to merge" in worker.log() for worker in workers)


@drill(quick_rounds=0)
def migrate_at_once(rig: Rig) -> None:
    """Ten processes migrating an empty database at once."""
    log_path = rig.folder / "migrate.log"
    with rig.ground.empty_database() as url:
        environment = {**os.environ, **rig.variables, "DATABASE_URL": url}
        command = [sys.executable, "-m", "dataflow", "migrate"]
        with log_path.open("wb") as log:
            started = [subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log) for _ in range(10)]
        eventually(lambda: all(process.poll() is not None for process in started), 60)
        assert not any(process.returncode for process in started), log_path.read_text()
        with db.connect(url, "drill") as connection:
            applied = connection.execute("SELECT version FROM dataflow_migrations ORDER BY version").fetchall()
    expected = sorted(int(path.name.partition("_")[0]) for path in (db.SQL / "migrations").glob("*.sql"))
    assert [row["version"] for row in applied] == expected
