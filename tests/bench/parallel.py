"""Many imports at a time: the rows a second of several in one worker, beside the same ones after each other."""

from pathlib import Path
from statistics import median

from tests.bench.once import OnceWorker, start_seconds, upload_file
from tests.bench.references import write
from tests.bench.report import print_table, verdict
from tests.bench.rig import Rig
from tests.bench.sample import LAYOUTS

IMPORTS = 4
LEAST_OF_ALONE = 1.0


def run(rig: Rig, rows: int, rounds: int) -> None:
    """Import each file IMPORTS times, one at a time and all at once, in turns, and print the medians."""
    files = {name: write(rig.folder / f"part.{name}", layout.pieces(rows // 2)) for name, layout in LAYOUTS.items()}
    costs: dict[str, list[tuple[float, float]]] = {}
    starts = []
    for turn in range(rounds):
        starts.append(start_seconds(rig))
        for name, path in files.items():
            # Each goes first as often as the other: the server may still write what the one before has brought.
            for at_once in (1, IMPORTS) if turn % 2 else (IMPORTS, 1):
                cost = _import_all(rig, name, path, rows // 2, at_once)
                costs.setdefault(f"{name}, {at_once} at a time", []).append(cost)
    _report(costs, IMPORTS * (rows // 2), rounds, median(starts))


def _import_all(rig: Rig, name: str, path: Path, rows: int, at_once: int) -> tuple[float, float]:
    """Seconds from the first claim to the last commit, and of the worker's processor."""
    uploads = [upload_file(rig, name, path) for _ in range(IMPORTS)]
    rig.empty_contacts()
    for upload in uploads:
        rig.queue(upload)
    processor_seconds = OnceWorker({**rig.variables, "WORKER_CONCURRENCY": str(at_once)}).finish()
    jobs = [rig.succeeded_job(upload, rows) for upload in uploads]
    assert rig.value("SELECT count(*) FROM contacts") == IMPORTS * rows
    whole = max(job["finished_at"] for job in jobs) - min(job["started_at"] for job in jobs)
    return whole.total_seconds(), processor_seconds


def _report(costs: dict[str, list[tuple[float, float]]], rows: int, rounds: int, idle_seconds: float) -> None:
    table = []
    for name in LAYOUTS:
        alone = median(seconds for seconds, _ in costs[f"{name}, 1 at a time"])
        for at_once in (1, IMPORTS):
            each = costs[f"{name}, {at_once} at a time"]
            seconds, processor_seconds = (median(figures) for figures in zip(*each, strict=True))
            bar = verdict(alone / seconds >= LEAST_OF_ALONE) if at_once > 1 else ""
            figures = f"{seconds:.2f}", f"{rows / seconds:,.0f}", f"{alone / seconds:.2f}", bar
            table.append((f"{name}, {at_once} at a time", *figures, f"{processor_seconds - idle_seconds:.2f}"))
    columns = ("", "seconds", "rows/s", "of one at a time", f"bar {LEAST_OF_ALONE:g}", "processor s")
    print_table(f"{IMPORTS} imports of {rows // IMPORTS:,} contacts in one worker, median of {rounds}", columns, table)
