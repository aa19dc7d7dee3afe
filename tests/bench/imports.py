"""Speed of an import, from the stored object to commit, beside psql's `\\copy` of the same rows in the same run."""

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

from dataflow.ids import IdRange
from dataflow.local.postgres import binary
from tests.bench.report import print_table, verdict
from tests.bench.rig import Rig
from tests.bench.sample import BLOCK_ROWS, LAYOUTS, PSQL
from tests.support.processes import ChildProcess

LIMIT, PLAIN = "\\copy, ids in order", "\\copy, default ids"
LEAST_OF_LIMIT = 0.6


class OnceWorker(ChildProcess):
    """A worker that ends when nothing is due."""

    command = ("worker", "--once")


def run(rig: Rig, rows: int, rounds: int) -> None:
    """Have everyone import the same rows once a round, in turns, and print the medians."""
    files = {name: _write(rig.folder / name, layout.pieces(rows)) for name, layout in LAYOUTS.items()}
    plain = _write(rig.folder / "plain", PSQL.pieces(rows))
    ordered = _write(rig.folder / "ordered", _with_ids(plain))
    turns: dict[str, Callable[[], float]] = {
        LIMIT: partial(_copy, rig, "id, name, email, source", ordered),
        PLAIN: partial(_copy, rig, "name, email, source", plain),
        **{name: partial(_import, rig, name, path, rows) for name, path in files.items()},
    }
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            seconds[name].append(turn())
            arrived = rig.value("SELECT count(*) FROM contacts")
            assert arrived == rows, f"{name}: {arrived} of {rows} rows arrived"
    _report(seconds, rows, rounds)


def _report(seconds: dict[str, list[float]], rows: int, rounds: int) -> None:
    limit, plain = median(seconds[LIMIT]), median(seconds[PLAIN])
    table = []
    for name, each in seconds.items():
        middle = median(each)
        bar = verdict(limit / middle >= LEAST_OF_LIMIT) if name in LAYOUTS else ""
        ratios = f"{limit / middle:.2f}", bar, f"{plain / middle:.2f}"
        table.append((name, f"{middle:.2f}", f"{rows / middle:,.0f}", *ratios, f"{min(each):.2f} - {max(each):.2f}"))
    columns = ("", "seconds", "rows/s", "of the limit", f"bar {LEAST_OF_LIMIT}", "of default ids", "least - most s")
    print_table(f"Import of {rows:,} contacts, claim to commit, median of {rounds}", columns, table)
    print(f"The limit is {LIMIT}: {plain / limit:.2f} times as fast as {PLAIN}.", flush=True)


def _write(path: Path, pieces: Iterable[bytes]) -> Path:
    """Write a file and wait for the disk, so that nothing is written back while the clock runs."""
    with path.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    return path


def _with_ids(path: Path) -> Iterator[bytes]:
    """The lines of `path`, each behind an id as the worker makes them."""
    ids = IdRange()
    with path.open("rb") as file:
        while block := list(islice(file, BLOCK_ROWS)):
            shared, own = ids.take(len(block))
            yield b"".join(f"{shared}{digits},".encode() + line for digits, line in zip(own, block, strict=True))


def _copy(rig: Rig, columns: str, path: Path) -> float:
    """Seconds by psql's own clock: its start and its connecting do not count, as they do not for the worker."""
    rig.empty_contacts()
    copy = f"\\copy contacts ({columns}) FROM '{path}' (FORMAT csv)"
    done = subprocess.run(
        [binary("psql"), rig.variables["DATABASE_URL"], "--no-psqlrc", "-c", "\\timing on", "-c", copy],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    milliseconds = re.search(r"^Time: ([\d.]+) ms", done.stdout, re.MULTILINE)
    assert milliseconds, f"psql did not say how long it took: {done.stdout}{done.stderr}"
    return float(milliseconds[1]) / 1000


def _import(rig: Rig, format_name: str, path: Path, rows: int) -> float:
    """Seconds between started_at and finished_at of the job, both the server's; the commit itself adds 1 to 4 ms."""
    with path.open("rb") as file:
        upload = rig.upload(format_name, iter(partial(file.read, 1 << 20), b""))
    rig.queue(upload)
    rig.empty_contacts()
    worker = OnceWorker(rig.variables)
    assert worker.process.wait() == 0, worker.log()
    job = rig.succeeded_job(upload, rows)
    return float((job["finished_at"] - job["started_at"]).total_seconds())
