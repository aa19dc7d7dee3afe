"""The server goes and comes back, or only a session of it, or a notification does not arrive."""

import time

from tests.drills.drill import drill
from tests.drills.ground import open_ground
from tests.drills.holds import Place, let_go, pace
from tests.drills.rig import Rig
from tests.drills.scenes import held_import
from tests.drills.sending import Sent
from tests.support.waiting import eventually

BAR_SECONDS = 15.0
POLL_IN_AN_HOUR = {"WORKER_POLL_INTERVAL": 3_600_000}


@drill(bar_seconds=BAR_SECONDS, rounds=3, ground=open_ground)
def restart_in_copy(rig: Rig) -> float:
    """Postgres restarted mid-COPY, as with -m fast."""
    return _restart(rig, is_crash=False)


@drill(bar_seconds=BAR_SECONDS, rounds=3, quick_rounds=0, ground=open_ground)
def crash_in_copy(rig: Rig) -> float:
    """Postgres restarted mid-COPY, as with -m immediate."""
    return _restart(rig, is_crash=True)


@drill(bar_seconds=BAR_SECONDS, rounds=3, quick_rounds=0, ground=open_ground)
def restart_in_commit(rig: Rig) -> float:
    """Postgres restarted inside COMMIT, as with -m fast."""
    return _restart(rig, is_crash=False, place="commit")


def _restart(rig: Rig, is_crash: bool, place: Place = "copy") -> float:
    scene = held_import(rig, place)
    began = time.monotonic()
    rig.restart(is_crash)
    # A crash forgets that somebody has come, and would have the next one held as well.
    let_go(rig.connection)
    if rig.is_quick:
        # It need not wait out its delay.
        rig.wait_for(scene.sent, "queued", "succeeded")
        rig.hurry(scene.sent)
    seconds = rig.wait_until_done(scene.sent, since=began)
    # It was not the worker that was lost.
    assert rig.job(scene.sent)["losses"] == 0, rig.job(scene.sent)
    return seconds


@drill(bar_seconds=BAR_SECONDS, rounds=3, quick_rounds=0, ground=open_ground)
def restart_while_idle(rig: Rig) -> float:
    """Postgres restarted while the workers have nothing to do."""
    rig.start(2)
    began = time.monotonic()
    rig.restart(is_crash=False)
    sent = rig.put()
    seconds = rig.wait_until_done(sent, since=began)
    assert (rig.job(sent)["attempt"], rig.job(sent)["failures"]) == (1, 0), rig.job(sent)
    return seconds


OUTAGES_SECONDS = (5.0, 20.0, 75.0)


@drill(bar_seconds=2, rounds=1, quick_rounds=0, ground=open_ground)
def outage_while_idle(rig: Rig) -> float:
    """Postgres away for 5, 20 and 75 s: a job that comes when it is back."""
    rig.start(2)
    worst = 0.0
    for seconds in OUTAGES_SECONDS:
        rig.restart(is_crash=False, away_seconds=seconds)
        worst = max(worst, rig.wait_until_done(rig.put(), since=time.monotonic()))
    return worst


@drill(bar_seconds=5, rounds=1, quick_rounds=0, ground=open_ground)
def outage_in_copy(rig: Rig) -> float:
    """Postgres away mid-COPY for 5, 20 and 75 s, longer than an outcome is kept: the job runs again."""
    worst = 0.0
    pace(rig.connection)
    rig.start(2)
    for seconds in OUTAGES_SECONDS:
        sent = rig.put(rows=20_000)
        rig.wait_for(sent, "running")
        rig.restart(is_crash=False, away_seconds=seconds)
        back_at = time.monotonic()
        eventually(lambda job=sent: _runs_again(rig, job))  # type: ignore[misc]
        worst = max(worst, time.monotonic() - back_at)
        assert rig.job(sent)["losses"] == 0, rig.job(sent)
        rig.wait_until_done(sent)
    return worst


def _runs_again(rig: Rig, sent: Sent) -> bool:
    """Whether it has been claimed once more; its delay, which does not count here, is over at once."""
    rig.hurry(sent)
    return bool(rig.job(sent)["attempt"] == 2)


LISTENERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '%/listen'"


@drill(bar_seconds=1, rounds=20)
def listener_terminated(rig: Rig) -> float:
    """The LISTEN session terminated, the poll an hour away."""
    rig.start(settings=POLL_IN_AN_HOUR)
    began = time.monotonic()
    ended = f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) listeners"
    assert len(rig.connection.execute(ended.encode()).fetchall()) == 1
    # At once: what becomes due while nobody listens is found by whoever listens again.
    return rig.wait_until_done(rig.put(), since=began)


@drill(bar_seconds=1, quick_rounds=0)
def listener_restored(rig: Rig) -> float:
    """A job after the LISTEN session was terminated and has come back, the poll an hour away."""
    rig.start(settings=POLL_IN_AN_HOUR)
    [before] = rig.connection.execute(LISTENERS.encode()).fetchall()
    rig.connection.execute("SELECT pg_terminate_backend(%s)", [before["pid"]])
    eventually(lambda: rig.connection.execute(LISTENERS.encode()).fetchall() not in ([], [before]))
    [worker] = rig.workers
    eventually(lambda: worker.log().count('"message": "worker ready"') == 2)
    return rig.wait_until_done(rig.put())


@drill(bar_seconds=1, quick_rounds=0)
def notification_lost(rig: Rig) -> float:
    """The notification of a job lost: the poll finds it."""
    rig.start()
    waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '%/work'"
    settled = f"{waits} AND state = 'idle' AND state_change < clock_timestamp() - INTERVAL '50 ms'"
    eventually(lambda: rig.connection.execute(settled.encode()).fetchone() is not None)
    rig.connection.execute("ALTER TABLE jobs DISABLE TRIGGER jobs_notify_queued")
    return rig.wait_until_done(rig.put())
