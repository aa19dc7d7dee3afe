"""A file that kills whoever imports it, as one does that needs more memory than there is."""

from tests.drills.drill import drill
from tests.drills.holds import EVERYBODY, hold, pace
from tests.drills.rig import Rig
from tests.drills.sending import Sent
from tests.support.waiting import eventually

GOOD_FILES = 9
#: Of a job, unless it is told otherwise.
LIMIT = 5
DEADLINE_SECONDS = 120.0


@drill(rounds=3)
def poison(rig: Rig) -> None:
    """A file that kills its worker, beside nine good ones."""
    hold(rig.connection, count=EVERYBODY)
    pace(rig.connection)
    bad = rig.put(rows=3, is_marked=True)
    bad.ends = "failed"
    limit = 3 if rig.is_quick else LIMIT
    rig.connection.execute("UPDATE jobs SET max_failures = %s WHERE max_failures = %s", [limit, LIMIT])
    good = [rig.put(rows=1000) for _ in range(GOOD_FILES)]
    rig.start(2, rig.patience)
    eventually(lambda: _is_over(rig, bad, good), DEADLINE_SECONDS, every_seconds=0.005)
    job = rig.job(bad)
    assert (job["losses"], job["failures"], job["attempt"]) == (limit, limit, limit), job
    assert job["error"].startswith("worker_lost: "), job
    # What was beside it the first two times may have gone with it; never again, as it then ran alone.
    assert max(rig.job(each)["losses"] for each in good) <= 2


def _is_over(rig: Rig, bad: Sent, good: list[Sent]) -> bool:
    """One look of the supervisor, and of what kills: whether all jobs have ended."""
    job = rig.job(bad)
    if job["state"] == "running":
        rig.worker_in(job).kill()
    rig.supervise(2)
    rig.hurry(bad)
    return all(rig.job(each)["finished_at"] for each in (bad, *good))
