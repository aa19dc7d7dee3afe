"""One import by a worker of its own: how long it takes from claim to commit, and what it costs our processor."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.rig import Rig, Upload
from tests.support.processes import ChildProcess


@dataclass(frozen=True, slots=True)
class Cost:
    """`seconds` lie between started_at and finished_at, both the server's; the commit itself adds 1 to 4 ms."""

    seconds: float
    processor_seconds: float  #: user and system time of the worker's process, its start included


class OnceWorker(ChildProcess):
    """A worker that ends when nothing is due."""

    command = ("worker", "--once")

    def finish(self) -> float:
        """Wait for a good end; the processor seconds of the process, as the kernel counts them at its end."""
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        assert self.process.returncode == 0, self.log()
        return usage.ru_utime + usage.ru_stime


def start_seconds(rig: Rig) -> float:
    """What a worker costs that finds nothing to do: to be taken off the processor seconds of one that has imported.

    Measured once a round like everything else, because a busy machine makes it half as much again.
    """
    return OnceWorker(rig.variables).finish()


def upload_file(rig: Rig, format_name: str, path: Path, options: Mapping[str, Any] | None = None) -> Upload:
    with path.open("rb") as file:
        upload = rig.upload(format_name, iter(partial(file.read, 1 << 20), b""))
    upload.values["options"] |= options or {}
    return upload


def import_file(
    rig: Rig, format_name: str, path: Path, rows: int, refused_rows: int = 0, options: Mapping[str, Any] | None = None
) -> Cost:
    """Import it into an empty table; all but the refused rows must arrive, and the refused ones be kept."""
    upload = upload_file(rig, format_name, path, options)
    rig.queue(upload)
    rig.connection.execute("TRUNCATE rejects")
    rig.empty_contacts()
    processor_seconds = OnceWorker(rig.variables).finish()
    job = rig.succeeded_job(upload, rows - refused_rows)
    assert rig.value("SELECT count(*) FROM rejects") == job["rows_rejected"] == refused_rows
    return Cost((job["finished_at"] - job["started_at"]).total_seconds(), processor_seconds)
