"""A process that reads files, and how much memory it takes for each, seen from outside. Linux only.

The peak is the kernel's (VmHWM), set back before each file.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Reads the files that it is told, as an import does, and answers each with the number of its rows or its error's code.
PROGRAM = """
import gc
import sys
from dataflow import allocator
from dataflow.contacts import validation
from dataflow.errors import DataFlowError
from dataflow.formats.registry import read_blocks
from dataflow.formats.reading import Findings, Reading
from dataflow.text import storable

def read(kind, path):
    rows = 0
    with open(path, "rb") as file:
        for block in read_blocks(kind, iter(lambda: file.read(65536), b""), Reading(1 << 20), Findings()):
            verdict = validation.judge(block)
            rows += len(block.names)
            if rows > 100_000:
                break
    return rows

for line in sys.stdin:
    kind, path = line.rstrip().split(" ", 1)
    try:
        outcome = read(kind, path)
    except DataFlowError as error:
        outcome = error.code
    # As after each job, but whatever it has grown by: the next file begins where this one has.
    gc.collect()
    allocator.GROWTH_BYTES = 0
    allocator.give_back()
    print(outcome, flush=True)
"""


class ReaderProcess:
    """Reads one file after the other."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process = process
        self._path = folder / "file"
        self.idle_mib = 0.0

    def read(self, format_name: str, content: bytes) -> tuple[str, float]:
        """What came of a file, and how many MiB the process had above its idle ones meanwhile."""
        self._path.write_bytes(content)
        process = self._process
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{format_name} {self._path}\n")
        process.stdin.flush()
        outcome = process.stdout.readline().strip()
        assert outcome, "the process has ended"
        return outcome, self._status_mib("VmHWM") - self.idle_mib

    def kept_mib(self) -> float:
        """What it has more than that, while it reads nothing."""
        return self._status_mib("VmRSS") - self.idle_mib

    def note_idle(self) -> None:
        """What it has now is what is ordinary."""
        self.idle_mib = self._status_mib("VmRSS")

    def _status_mib(self, name: str) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found
        return int(found[1]) / 1024


@contextmanager
def reader_process(folder: Path) -> Iterator[ReaderProcess]:
    """A process that has read nothing yet; `folder` is where files are put for it."""
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield ReaderProcess(process, folder)
