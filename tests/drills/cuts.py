"""Networks that are cut: nothing is closed, nobody is told, bytes just do not arrive any more."""

import time
from urllib.parse import urlsplit, urlunsplit

from dataflow.worker.watchdog import EXIT_STUCK
from tests.drills import namespace
from tests.drills.drill import drill
from tests.drills.holds import hold, wait_until_held
from tests.drills.rig import Rig
from tests.drills.sending import Sent
from tests.drills.swallow import Swallower
from tests.drills.workers import Worker
from tests.support.waiting import DEADLINE_SECONDS, eventually

BAR_SECONDS = 30.0
OUTCOME_UNKNOWN = '"message": "import outcome not written"'
GIVEN_UP = '"message": "import given up"'


@drill(bar_seconds=BAR_SECONDS, rounds=2)
def network_swallows(rig: Rig) -> float:
    """Network cut mid-COPY: it acknowledges and swallows everything."""
    hold(rig.connection)
    with Swallower(rig.url) as network:
        variables = {**rig.variables, "DATABASE_URL": network.url}
        [worker] = rig.start(patience=rig.patience, settings={"DATABASE_URL": network.url})
        sent = rig.put(is_marked=True)
        wait_until_held(rig.connection)
        [other] = rig.start(patience=rig.patience)
        wait_for_age_of_beat(rig, sent, 1.5)
        network.cut()
        seconds = rig.wait_until_done(sent, since=time.monotonic())
        eventually(lambda: GIVEN_UP in worker.log(), rig.patience.lease_seconds)
        network.heal()
        assert other.stop() == 0
        _assert_works_again(rig, worker, variables)
    return seconds


def wait_for_age_of_beat(rig: Rig, sent: Sent, seconds: float) -> None:
    """The lease runs from the last beat: the older that is, the sooner the job is free."""
    if rig.is_quick:
        return
    aged = "SELECT FROM jobs WHERE id = %s AND heartbeat_at < clock_timestamp() - make_interval(secs => %s)"
    eventually(lambda: rig.connection.execute(aged, [sent.id, seconds]).fetchone() is not None)


def _assert_works_again(rig: Rig, worker: Worker, variables: dict[str, str]) -> None:
    """The worker, or the one that a platform starts in its place when the watchdog has ended it, imports a file."""
    sent = rig.put()

    def is_done() -> bool:
        if not rig.workers[-1].is_alive():
            assert worker.process.returncode == EXIT_STUCK
            rig.workers.append(Worker(variables, rig.patience))
        return bool(rig.job(sent)["state"] == "succeeded")

    rig.workers.remove(worker)
    rig.workers.append(worker)
    # A process that takes its place takes as long to start as the machine lets it.
    eventually(is_done, 2 * rig.patience.loop_seconds + DEADLINE_SECONDS)


@drill(bar_seconds=BAR_SECONDS, rounds=2, quick_rounds=0, ground=namespace.open_wired_ground, missing=namespace.missing)
def wire_pulled(rig: Rig) -> float:
    """Network cut mid-COPY: the wire of a network namespace is pulled out."""
    hold(rig.connection)
    name = urlsplit(rig.url).path
    url = urlunsplit(("postgresql", f"postgres@{namespace.SERVER}:5432", name, "", ""))
    [worker] = rig.start(prefix=namespace.PREFIX, settings={"DATABASE_URL": url})
    sent = rig.put(is_marked=True)
    wait_until_held(rig.connection)
    [other] = rig.start()
    namespace.pull()
    seconds = rig.wait_until_done(sent, since=time.monotonic())
    eventually(lambda: OUTCOME_UNKNOWN in worker.log(), rig.patience.lease_seconds)
    namespace.plug()
    assert other.stop() == 0
    rig.wait_until_done(rig.put())
    return seconds
