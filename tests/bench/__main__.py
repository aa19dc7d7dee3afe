"""`python -m tests.bench [PART]`: measure that part, or all of them, and print tables."""

import argparse
import os
import platform

import psutil

from tests.bench import conflicts, exports, imports, memory, parallel, pickup, refusals, shapes, tus, uploads
from tests.bench.rig import Rig, open_rig

QUICK = {"rows": 100_000, "rounds": 3, "gigabytes": 0.1, "jobs": 100}


def main() -> None:
    arguments = _parser().parse_args()
    if arguments.part == "quick":
        vars(arguments).update(QUICK, part="all")
    with open_rig() as rig:
        _describe_machine(rig)
        if arguments.part in ("import", "all"):
            imports.run(rig, arguments.rows, arguments.rounds)
        if arguments.part in ("shapes", "all"):
            shapes.run(rig, arguments.rows, arguments.rounds)
        if arguments.part in ("parallel", "all"):
            parallel.run(rig, arguments.rows, arguments.rounds)
        if arguments.part in ("refusals", "all"):
            refusals.run(rig, arguments.rows, arguments.rounds)
        if arguments.part in ("conflicts", "all"):
            conflicts.run(rig, arguments.rows, arguments.rounds)
        if arguments.part in ("memory", "all"):
            memory.run(rig, arguments.rows, arguments.gigabytes)
        if arguments.part in ("pickup", "all"):
            pickup.run(rig, arguments.jobs)
        if arguments.part in ("upload", "all"):
            uploads.run(rig, arguments.rounds, arguments.gigabytes)
        if arguments.part in ("tus", "all"):
            tus.run(rig, arguments.rounds)
        if arguments.part in ("export", "all"):
            exports.run(rig, arguments.rows, arguments.rounds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure, and print tables.")
    parts = (
        "import",
        "shapes",
        "parallel",
        "refusals",
        "conflicts",
        "memory",
        "pickup",
        "upload",
        "tus",
        "export",
        "all",
        "quick",
    )
    parser.add_argument("part", nargs="?", default="all", choices=parts, help="default: all; quick: all in a minute")
    parser.add_argument("--rows", type=int, default=1_000_000, help="contacts in an import (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each import (default: %(default)s)")
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of an upload (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=300, help="jobs to pick up (default: %(default)s)")
    return parser


def _describe_machine(rig: Rig) -> None:
    settings = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
    durable = ", ".join(f"{name} {rig.value(f'SHOW {name}')}" for name in settings)
    # Not the load average, which remembers what ended minutes ago.
    busy = psutil.cpu_percent(interval=2)
    print(
        f"Machine   {os.cpu_count()} cores, {platform.machine()}, {busy:.0f} % busy with other things before the start"
    )
    print(f"Python    {platform.python_version()}")
    print(f"Postgres  {rig.value('SHOW server_version')}, {durable}", flush=True)


if __name__ == "__main__":
    main()
