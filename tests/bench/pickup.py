"""Pick-up: from the enqueue to the claim, by the server's clock, on an idle worker and beside a long import.

No client can read the moment of a commit, so there are two figures around it: from just before the statement that
queues the job, its way to the disk included, which is the one for the bar; and from just after it, when a quick
worker has claimed already.
"""

import time
from datetime import datetime
from statistics import quantiles

from tests.bench.report import print_table, verdict
from tests.bench.rig import Rig, Upload
from tests.bench.sample import LAYOUTS
from tests.support.processes import WorkerProcess
from tests.support.waiting import eventually

PERIOD_SECONDS = 0.05
MOST_P50_MS, MOST_P99_MS = 5, 25
#: Of the long import, for each short one beside it: it should last longer than they do.
LONG_BYTES_A_JOB = 4_000_000

#: Server times: just before a job was queued, just after that, and when it was claimed.
Moments = tuple[datetime, datetime, datetime]


def run(rig: Rig, job_count: int) -> None:
    """Print how soon `job_count` imports of one row, one every PERIOD_SECONDS, are claimed."""
    first, second = ([rig.upload("csv", LAYOUTS["csv"].pieces(1)) for _ in range(job_count)] for _ in range(2))
    long = rig.upload("ndjson", LAYOUTS["ndjson"].body(job_count * LONG_BYTES_A_JOB))
    # Without grace, so that the long import ends with its worker.
    worker = WorkerProcess.start({**rig.variables, "SHUTDOWN_GRACE_SECONDS": 0})
    try:
        idle = _queue_steadily(rig, first)
        rig.queue(long)
        eventually(lambda: rig.job(long)["state"] == "running")
        busy = _queue_steadily(rig, second)
        ended = rig.job(long)["finished_at"]
    finally:
        worker.stop()
    rig.forget_queued()
    _report(idle, [each for each in busy if ended is None or each[2] < ended])


def _queue_steadily(rig: Rig, uploads: list[Upload]) -> list[Moments]:
    """Queue one after the other, then wait until all are imported."""
    began = time.monotonic()
    queued = []
    for number, upload in enumerate(uploads):
        time.sleep(max(0.0, began + number * PERIOD_SECONDS - time.monotonic()))
        before = rig.value("SELECT clock_timestamp()")
        rig.queue(upload)
        queued.append((before, rig.value("SELECT clock_timestamp()")))
    claims = [rig.succeeded_job(upload, rows=1)["started_at"] for upload in uploads]
    return [(before, after, claim) for (before, after), claim in zip(queued, claims, strict=True)]


def _report(idle: list[Moments], busy: list[Moments]) -> None:
    table = []
    for name, moments in ("idle worker", idle), ("beside one import", busy):
        for since, label in enumerate(("before the enqueue", "after its commit")):
            milliseconds = [(each[2] - each[since]).total_seconds() * 1000 for each in moments]
            percent = quantiles(milliseconds, n=100, method="inclusive")
            p50, p95, p99 = percent[49], percent[94], percent[98]
            barred = moments is idle and since == 0
            bars = (verdict(p50 < MOST_P50_MS), verdict(p99 < MOST_P99_MS)) if barred else ("", "")
            figures = f"{p50:.1f}", bars[0], f"{p95:.1f}", f"{p99:.1f}", bars[1], f"{max(milliseconds):.1f}"
            table.append((f"{name}, from {label}", f"{len(moments)}", *figures))
    columns = ("", "jobs", "p50", f"bar {MOST_P50_MS}", "p95", "p99", f"bar {MOST_P99_MS}", "most")
    print_table(f"Enqueue to claim, one job every {PERIOD_SECONDS * 1000:g} ms, milliseconds", columns, table)
