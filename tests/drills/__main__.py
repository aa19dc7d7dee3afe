"""`python -m tests.drills [NAME or GROUP ...] [--rounds N] [--seconds S] [--list]`: run drills, print a table.

Exits 1 if one is not passed.
"""

import argparse
import os
import sys
import tempfile
import traceback
from pathlib import Path

from dataflow.config import Config
from tests.drills.catalogue import CATALOGUE, GROUPS, chosen
from tests.drills.drill import Drill
from tests.drills.ground import Ground, open_ground
from tests.drills.report import Line, print_report
from tests.drills.rig import SECONDS
from tests.drills.rounds import run_round


def main() -> int:
    given = _parser().parse_args()
    if given.list:
        print("\n".join(f"{drill.group:<12}{drill.name:<26}{drill.fault}" for drill in CATALOGUE.values()))
        return 0
    for name in Config.__dataclass_fields__:
        os.environ.pop(name.upper(), None)
    with (
        tempfile.TemporaryDirectory(prefix="dataflow-drills-") as folder,
        open_ground(Path(folder, "server")) as ground,
    ):
        lines = [_run(drill, ground, Path(folder, drill.name), given) for drill in chosen(given.names)]
    print_report(lines)
    return 0 if all(line.is_passed for line in lines) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description="Break things, and count rows.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", choices=[*CATALOGUE, *GROUPS, []], help="or group; see --list"
    )
    parser.add_argument("--rounds", type=int, help="of each (default: what each has)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each siege (default: %(default)g)")
    parser.add_argument("--list", action="store_true", help="say what there is")
    return parser


def _run(drill: Drill, ground: Ground, folder: Path, given: argparse.Namespace) -> Line:
    """All rounds of one drill; a broken one ends them."""
    if reason := drill.missing():
        return Line(drill, skipped=reason)
    print(f"{drill.name}: {drill.fault}", end=" ", flush=True)
    line = Line(drill)
    for number in range(1, (given.rounds or drill.rounds) + 1):
        outcome = run_round(drill, ground, folder / str(number), is_quick=False, seconds=given.seconds)
        line.outcomes.append(outcome)
        if outcome.error:
            traceback.print_exception(outcome.error)
            break
        print(".", end="", flush=True)
    print(flush=True)
    return line


if __name__ == "__main__":
    sys.exit(main())
