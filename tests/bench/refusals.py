"""What refused rows cost: the time of an import in which every hundredth is bad, the memory of one in which all are."""

from dataclasses import replace
from itertools import count
from statistics import median

from tests.bench.memory import MOST_WORKER_MB, peak_mb
from tests.bench.once import import_file
from tests.bench.references import write
from tests.bench.report import print_table, verdict
from tests.bench.rig import Rig
from tests.bench.sample import LAYOUTS, Layout
from tests.support.processes import WorkerProcess
from tests.support.waiting import eventually

MOST_OF_CLEAN = 1.15
#: Every so many rows one is bad: without an address, without an @-sign, and with a domain that is none, in turns.
BAD_EVERY_ROWS = 100
IMPORT_SECONDS = 300.0


def run(rig: Rig, rows: int, rounds: int) -> None:
    """Import each format clean and with bad rows, in turns, and print medians; then peaks of memory."""
    seconds = {name: _turns(rig, name, layout, rows, rounds) for name, layout in LAYOUTS.items()}
    table = []
    for name, (clean, bad) in seconds.items():
        ratio = median(bad) / median(clean)
        spread = f"{min(bad):.2f} - {max(bad):.2f}"
        table.append(
            (
                name,
                f"{median(clean):.2f}",
                f"{median(bad):.2f}",
                f"{ratio:.2f}",
                verdict(ratio <= MOST_OF_CLEAN),
                spread,
            )
        )
    title = (
        f"Import of {rows:,} contacts, every {BAD_EVERY_ROWS}th of them refused, claim to commit, median of {rounds}"
    )
    columns = ("", "clean s", "with refused s", "of clean", f"bar {MOST_OF_CLEAN}", "least - most s")
    print_table(title, columns, table)
    peaks = {name: _all_bad_mb(rig, name, layout, rows) for name, layout in LAYOUTS.items()}
    lines = [(name, f"{peak:.1f}", verdict(peak < MOST_WORKER_MB)) for name, peak in peaks.items()]
    print_table(
        f"Peak memory of a worker, all of {rows:,} rows refused, MB", ("", "peak", f"bar {MOST_WORKER_MB}"), lines
    )


def with_bad_rows(layout: Layout, every_rows: int) -> Layout:
    """The same with an address that is none in every so many rows."""
    numbers = count()

    def row(name: str, email: str) -> str:
        number = next(numbers)
        if number % every_rows:
            return layout.row(name, email)
        return layout.row(name, ("", email.replace("@", " at "), f"{email}..")[number // every_rows % 3])

    return replace(layout, row=row)


def _turns(rig: Rig, name: str, layout: Layout, rows: int, rounds: int) -> tuple[list[float], list[float]]:
    clean = write(rig.folder / f"clean.{name}", layout.pieces(rows))
    bad = write(rig.folder / f"refused.{name}", with_bad_rows(layout, BAD_EVERY_ROWS).pieces(rows))
    seconds: tuple[list[float], list[float]] = ([], [])
    turns = ((clean, 0), (bad, -(-rows // BAD_EVERY_ROWS)))
    for turn in range(rounds):
        # Each goes first as often as the other: the server may still write what the one before has brought.
        for which in (0, 1) if turn % 2 else (1, 0):
            path, refused_rows = turns[which]
            seconds[which].append(import_file(rig, name, path, rows, refused_rows).seconds)
    return seconds


def _all_bad_mb(rig: Rig, name: str, layout: Layout, rows: int) -> float:
    """The peak of a worker that has refused a whole file and keeps every row of it."""
    rig.connection.execute("TRUNCATE rejects")
    upload = rig.upload(name, with_bad_rows(layout, 1).pieces(rows))
    upload.values["options"] |= {"maxRejects": rows}
    worker = WorkerProcess.start(rig.variables)
    try:
        rig.queue(upload)
        eventually(lambda: rig.job(upload)["finished_at"], IMPORT_SECONDS)
        job = rig.job(upload)
        assert (job["state"], job["rows_rejected"]) == ("failed", rows), job
        assert rig.value("SELECT count(*) FROM rejects") == rows
        return peak_mb(worker)
    finally:
        worker.stop()
