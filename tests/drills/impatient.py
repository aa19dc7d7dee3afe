"""A worker like any other, but for how long it waits and what it is called: `python -m tests.drills.impatient`.

Nobody wants these to be settings: a lease shorter than a hiccup of the network makes work for nothing. The worker
reads them from its modules when it starts, and so they can be changed before that.
"""

import argparse
import sys

from dataflow import logs
from dataflow.config import Config
from dataflow.queue import leases, live_workers
from dataflow.storage.registry import open_storage
from dataflow.worker import heartbeat, loop, recovery, watchdog


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drills.impatient", description="A worker in a hurry.")
    parser.add_argument("lease_seconds", type=float, help="of leases.LEASE_SECONDS")
    parser.add_argument("beat_seconds", type=float, help="between heartbeats")
    parser.add_argument("loop_seconds", type=float, help="until the watchdog ends a silent process")
    parser.add_argument("hearing_seconds", type=float, help="for its own notification")
    parser.add_argument("settling_seconds", type=float, help="until it takes a worker without sessions for dead")
    parser.add_argument("--name", help="instead of one that no other worker has")
    given = parser.parse_args()
    leases.LEASE_SECONDS = given.lease_seconds
    heartbeat.INTERVAL_SECONDS = given.beat_seconds
    watchdog.LOOP_SECONDS = given.loop_seconds
    watchdog.LOOK_SECONDS = min(watchdog.LOOK_SECONDS, given.beat_seconds / 2)
    recovery.SETTLING_SECONDS = given.settling_seconds
    live_workers.HEARING_SECONDS = given.hearing_seconds
    if given.name:
        name: str = given.name
        loop.worker_name = lambda config: name
    config = Config.from_env()
    logs.configure(config.log_format)
    return loop.Worker(config, open_storage(config)).run()


if __name__ == "__main__":
    sys.exit(main())
