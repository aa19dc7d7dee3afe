"""Everybody who may watches jobs, while imports come and end: what the watchers hear and when, and what it costs."""

import random
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from uuid import UUID

from dataflow.config import Config
from tests.bench.memory import peak_mb
from tests.drills import sending
from tests.drills.drill import drill
from tests.drills.ground import open_ground
from tests.drills.honest import HealthWatch, import_each
from tests.drills.rig import Rig
from tests.drills.siege import BAR_SECONDS, no_proc
from tests.support.event_streams import Event, EventClient
from tests.support.processes import Web
from tests.support.waiting import eventually

IMPORTS, ROWS = 20, 150_000
#: Each import is watched by some; the others watch a job that somebody changes by hand.
WATCHERS = 3
CHANGES = 30
#: Whose each statement is, in the server's log.
LOGGED = {"log_statement": "all", "log_line_prefix": "%m [%p] %a: "}


@dataclass(slots=True)
class Watcher:
    """Reads one stream to its end, and notes when each event came."""

    client: EventClient
    began_at: float = 0.0
    heard: list[tuple[float, Event]] = field(default_factory=list)

    def read(self) -> None:
        self.began_at = time.time()
        for event in self.client:
            self.heard.append((time.time(), event))


@drill(
    bar_seconds=BAR_SECONDS,
    rounds=1,
    quick_rounds=0,
    ground=partial(open_ground, settings=LOGGED),
    missing=no_proc,
)
def event_streams(rig: Rig) -> float:
    """All event streams of a process and 20 imports at once: worst /health, and event after what it tells."""
    streams = Config.from_env({}).max_event_streams
    changed = rig.put(rows=1)
    rig.connection.execute("UPDATE jobs SET run_at = 'tomorrow' WHERE id = %s", [changed.id])
    rig.start()
    web = Web.start({**rig.variables, "WEB_CONCURRENCY": 1})
    rig.stack.callback(web.stop)
    before_mb, health = peak_mb(web), HealthWatch(web.port)
    with ExitStack() as stack, health.asking():
        sents = [sending.make(len(rig.sent) + number, ROWS) for number in range(IMPORTS)]
        imports = import_each(web.port, sents, 2.0, time.sleep)
        assert all(each.answer.is_good for each in imports), [each.answer.outcome for each in imports]
        ids = [each.accepted.id for each in imports] * WATCHERS
        ids += [changed.id] * (streams - len(ids))
        watchers = _watch(web, ids, stack)
        first, began = len(_statements(rig)), time.monotonic()
        late = _change(rig, changed.id, watchers[-1])
        rig.sent += [each.accepted for each in imports]
        rig.wait_until_done(*rig.sent[1:])
        count, seconds = len(_statements(rig)) - first, time.monotonic() - began
        rig.connection.execute("UPDATE jobs SET run_at = now() WHERE id = %s", [changed.id])
        rig.wait_until_done(changed)
        eventually(lambda: all(watcher.heard[-1:] and watcher.heard[-1][1].name == "done" for watcher in watchers))
    ends = list(_seconds_after_ends(rig, watchers))
    slowest = max(answer.seconds for answer in health.answers)
    rig.notes += [
        f"{len(watchers)} streams: {count} statements in {seconds:.1f} s",
        f"event after the change it tells: {_times(late)}; after {len(ends)} ends: {_times(ends)}",
        f"/health: worst of {len(health.answers)} {slowest:.3f} s",
        f"web: {before_mb:.0f} MB before, {peak_mb(web):.0f} at most",
    ]
    return max(slowest, *late, *ends)


def _watch(web: Web, ids: Sequence[UUID], stack: ExitStack) -> list[Watcher]:
    watchers = [Watcher(stack.enter_context(EventClient(web, job_id))) for job_id in ids]
    assert {watcher.client.status for watcher in watchers} == {200}
    for watcher in watchers:
        threading.Thread(target=watcher.read, daemon=True).start()
    return watchers


def _change(rig: Rig, job_id: UUID, watcher: Watcher) -> list[float]:
    """The seconds from each of some changes to the event that tells it."""
    seconds = []
    for number in range(1, CHANGES + 1):
        time.sleep(random.uniform(0.1, 1.0))
        rig.connection.execute("UPDATE jobs SET bytes_done = %s WHERE id = %s", [number, job_id])
        changed_at = time.time()

        def heard_at(number: int = number) -> float | None:
            return next((at for at, event in watcher.heard if event.job["bytesDone"] == number), None)

        seconds.append(max(0.0, eventually(heard_at, every_seconds=0.005) - changed_at))
    return seconds


def _seconds_after_ends(rig: Rig, watchers: Sequence[Watcher]) -> Iterator[float]:
    """Of the streams that began before; the end is when it was written down, a moment before it was committed."""
    rows = rig.connection.execute("SELECT id::text, finished_at FROM jobs").fetchall()
    ended_at = {row["id"]: row["finished_at"].timestamp() for row in rows}
    for watcher in watchers:
        at, event = watcher.heard[-1]
        if watcher.began_at < ended_at[event.job["jobId"]]:
            yield at - ended_at[event.job["jobId"]]


def _statements(rig: Rig) -> list[str]:
    log = (rig.ground.folder / "run" / "postgres.log").read_text()
    return re.findall(r"\] dataflow/web/events: LOG:  (?:statement|execute \S+): (.*)", log)


def _times(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.3f} s, at worst {max(seconds):.3f}"
