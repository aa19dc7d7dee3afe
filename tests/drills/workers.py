"""Worker processes of the drills: the real command, or the same with less patience, or with a name."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

from dataflow.local.postgres import end_with_parent
from dataflow.queue import leases, live_workers
from dataflow.worker import heartbeat, recovery, watchdog
from tests.support.processes import WorkerProcess

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a worker waits, where no setting says it; for drills that cannot wait that long themselves."""

    lease_seconds: float
    beat_seconds: float
    loop_seconds: float  #: the watchdog's, before it ends the process
    hearing_seconds: float  #: for its own notification
    settling_seconds: float  #: for others to connect, before a worker without sessions is taken for dead


SHORT = Patience(lease_seconds=2.0, beat_seconds=0.5, loop_seconds=3.0, hearing_seconds=0.5, settling_seconds=0.5)
#: What workers have by default, for whoever waits for them.
DEFAULT = Patience(
    lease_seconds=leases.LEASE_SECONDS,
    beat_seconds=heartbeat.INTERVAL_SECONDS,
    loop_seconds=watchdog.LOOP_SECONDS,
    hearing_seconds=live_workers.HEARING_SECONDS,
    settling_seconds=recovery.SETTLING_SECONDS,
)


class Worker(WorkerProcess):
    """A listener that a drill can stop in every way. Start it from the main thread: it ends with its parent thread."""

    def __init__(
        self,
        variables: Mapping[str, object],
        patience: Patience = DEFAULT,
        name: str | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        folder = Path(str(variables["DATA_DIR"]))
        folder.mkdir(parents=True, exist_ok=True)
        self.log_path = folder / f"worker-{time.monotonic_ns()}.log"
        environment = {**os.environ, "LOG_FORMAT": "json", **{key: str(value) for key, value in variables.items()}}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", *_command(patience, name)],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509  (two system calls, no lock)
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def is_ready(self) -> bool:
        assert self.is_alive(), f"it ended: {self.log()}"
        return self.ready()

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end, and do not wait."""
        self.process.send_signal(signal.SIGTERM)


def _command(patience: Patience, name: str | None) -> list[str]:
    if patience == DEFAULT and name is None:
        return ["dataflow", "worker"]
    named = ["--name", name] if name else []
    return ["tests.drills.impatient", *map(str, astuple(patience)), *named]
