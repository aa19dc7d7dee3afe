"""A million jobs that have ended and a queue of 200,000: what an operator asks is answered at once all the same."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

from dataflow import db
from dataflow.queue import job_counts, jobs
from tests.drills.drill import drill
from tests.drills.rig import Rig
from tests.support.many_jobs import fill
from tests.support.processes import Web

ENDED, QUEUED = 1_000_000, 200_000
#: On a quiet machine; where more wants to run than there are processors, as much longer as that takes.
BAR_SECONDS = 0.1
#: An import of one contact beside CALLERS that each ask for a thousand jobs again and again.
BESIDE_SECONDS, CALLERS = 3.0, 20
TIMES = 7
PATHS = (
    "/metrics",
    "/jobs",
    "/jobs?limit=1000",
    "/jobs?source=nobody",
    "/jobs?source=source-7",
    "/jobs?state=failed&limit=1000",
    "/jobs?state=succeeded",
    "/jobs?state=running",
    "/jobs?state=queued&source=source-7",
    "/jobs?state=queued&source=nobody",
    "/jobs?state=failed&source=source-18&limit=1000",
)


@drill(rounds=1, quick_rounds=0, group="siege")
def million_jobs(rig: Rig) -> None:
    """A million ended and 200,000 queued jobs, 20 callers of long lists."""
    fill(rig.connection, ENDED, QUEUED)
    while job_counts.fold(rig.connection):
        continue
    rig.connection.execute("VACUUM job_counts")
    assert job_counts.totals(rig.connection)["jobs_by_state"]["succeeded"] == ENDED * 16 // 20
    status = db.query("jobs/newest").decode().replace(":limit", "20")
    for name, statement in (("job_status LIMIT 4", "SELECT * FROM job_status LIMIT 4"), ("dataflow jobs", status)):
        _judge(name, lambda statement=statement: rig.connection.execute(statement.encode()).fetchall())
    _judge_claims(rig)
    with _web(rig) as web:
        for path in PATHS:
            _judge(path, lambda path=path: web.get(path).raise_for_status())
        _judge_import_beside_callers(web)


def _judge(name: str, ask: Callable[[], object], bar_seconds: float = BAR_SECONDS) -> None:
    seconds = statistics.median(_seconds(ask) for _ in range(TIMES))
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    print(f"\n  {name:<48} {seconds * 1000:8.1f} ms, bar {bar_seconds * busy * 1000:.0f}", end="", flush=True)
    assert seconds <= bar_seconds * busy, f"{name}: {seconds:.3f} s"


def _seconds(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def _judge_claims(rig: Rig) -> None:
    """A claim costs what it costs in a short queue, measured at the same time."""
    with rig.ground.database() as url, db.connect(url, "drill") as short:
        fill(short, 100, 1000)
        pairs = [[_seconds(lambda: jobs.claim(each, "w")) for each in (short, rig.connection)] for _ in range(500)]  # noqa: B023
    in_short, in_long = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    print(f"\n  claim: {in_long * 1000:.2f} ms, of 1,000 jobs {in_short * 1000:.2f} ms", end="", flush=True)
    assert in_long < 1.5 * in_short, (in_long, in_short)


def _judge_import_beside_callers(web: Web) -> None:
    is_over, body = Event(), {"source": "one", "data": [{"name": "Ann", "email": "ann@example.com"}]}

    def call() -> None:
        while not is_over.is_set():
            web.get("/jobs?state=failed&limit=1000").raise_for_status()

    with ThreadPoolExecutor(CALLERS) as threads:
        calls = [threads.submit(call) for _ in range(CALLERS)]
        try:
            _judge(
                "import of one contact beside 20 callers",
                lambda: web.post(json=body).raise_for_status(),
                BESIDE_SECONDS,
            )
        finally:
            is_over.set()
        for each in calls:
            each.result()


@contextmanager
def _web(rig: Rig) -> Iterator[Web]:
    web = Web.start({**rig.variables, "WEB_CONCURRENCY": 2})
    try:
        yield web
    finally:
        web.stop()
