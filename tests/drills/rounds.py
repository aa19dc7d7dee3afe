"""One round of a drill: break it, stop the workers, count."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.drills.drill import Drill
from tests.drills.ground import Ground
from tests.drills.rig import SECONDS, open_rig


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round has shown."""

    lost: int
    doubled: int
    recovery_seconds: float | None = None
    notes: Sequence[str] = ()
    error: Exception | None = None  #: something did not happen in time, or a job or a worker did not end as it should


def run_round(drill: Drill, ground: Ground, folder: Path, is_quick: bool, seconds: float = SECONDS) -> Outcome:
    """Run the drill once, with its files in `folder`; rows are counted whatever happened."""
    with drill.ground(folder / "server") if drill.ground else nullcontext(ground) as own:
        return _run_on(own, drill, folder, is_quick, seconds)


def _run_on(ground: Ground, drill: Drill, folder: Path, is_quick: bool, seconds: float) -> Outcome:
    with open_rig(ground, folder, is_quick, seconds) as rig:
        try:
            recovery_seconds = drill.run(rig)
            rig.come_to_rest()
            rig.check_jobs()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told beside the rows
            # Here, because the logs go with the folder.
            error.add_note("\n".join(f"--- {worker.log_path.name}\n{worker.log()}" for worker in rig.workers))
            return Outcome(*rig.lost_and_doubled(), notes=rig.notes, error=error)
        return Outcome(*rig.lost_and_doubled(), recovery_seconds, rig.notes)
