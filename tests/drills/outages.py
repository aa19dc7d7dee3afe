"""The database goes for a while under steady imports, and comes back: they are taken again at once, as /health says."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import requests

from tests.drills.drill import drill
from tests.drills.ground import open_ground
from tests.drills.rig import DEADLINE_SECONDS, Rig
from tests.drills.sending import Sent
from tests.drills.swallow import Swallower
from tests.support.processes import Web
from tests.support.waiting import eventually

#: From the return of the database to the last refusal.
BAR_SECONDS = 2.0
#: A request is refused within the 3 s that it may wait for a connection, on a machine that is busy.
REFUSED_SECONDS = 5.0
CLIENTS, PAUSE_SECONDS = 4, 0.1
STEADY_SECONDS = 0.5
QUICK_SECONDS = 1.0


@dataclass(slots=True)
class Answer:
    began: float
    ended: float
    status: int


@dataclass(slots=True)
class Traffic:
    """Steady imports of one contact each, and looks at /health."""

    web: Web
    imports: list[Answer] = field(default_factory=list)
    health: list[Answer] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    under_way: dict[int, float] = field(default_factory=dict)  #: by thread: when what has no answer yet began
    _ended: threading.Event = field(default_factory=threading.Event)
    _errors: list[requests.RequestException] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: int = 0

    def refusals(self, since: float) -> list[Answer]:
        return [answer for answer in self.imports if answer.ended > since and answer.status != 200]

    def first_healthy(self, since: float) -> float:
        """When /health first said so of what came after `since`."""
        return eventually(lambda: min(self._well(since), default=None), DEADLINE_SECONDS)

    def have_come(self, since: float, until: float) -> bool:
        """Whether all that began in this time are answered, and some that began after it."""
        is_open = any(since < began <= until for began in self.under_way.copy().values())
        return not is_open and sum(answer.began > until for answer in self.imports) > 2 * CLIENTS

    def _well(self, since: float) -> list[float]:
        return [answer.ended for answer in self.health if answer.began > since and answer.status == 200]

    def import_one(self) -> None:
        with self._lock:
            self._count += 1
            source = f"drill {self._count}"
        body = {"source": source, "data": [{"name": "Ann", "email": f"ann@{source.replace(' ', '')}.example"}]}
        job = self._ask(self.imports, lambda: self.web.post(json=body))
        if "jobId" in job:
            self.accepted.add(job["jobId"])

    def look(self) -> None:
        self._ask(self.health, lambda: self.web.get("/health"))

    def _ask(self, answers: list[Answer], ask: Callable[[], requests.Response]) -> dict[str, str]:
        number, began = threading.get_ident(), time.monotonic()
        self.under_way[number] = began
        answer = ask()
        del self.under_way[number]
        answers.append(Answer(began, time.monotonic(), answer.status_code))
        body: dict[str, str] = answer.json()
        return body

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Until the block ends.

        :raises requests.RequestException: when a request had no answer at all.
        """
        threads = [threading.Thread(target=self._repeat, args=[self.import_one]) for _ in range(CLIENTS)]
        threads.append(threading.Thread(target=self._repeat, args=[self.look]))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()
        if self._errors:
            raise self._errors[0]

    def _repeat(self, act: Callable[[], None]) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            try:
                act()
            except requests.RequestException as error:
                self._errors.append(error)


@drill(bar_seconds=BAR_SECONDS, rounds=2, ground=open_ground)
def outage_of_5_seconds(rig: Rig) -> float:
    """The database away for 5 s, and it refuses."""
    return _refusing(rig, QUICK_SECONDS if rig.is_quick else 5.0)


@drill(bar_seconds=BAR_SECONDS, rounds=1, quick_rounds=0, ground=open_ground)
def outage_of_20_seconds(rig: Rig) -> float:
    """The database away for 20 s, and it refuses."""
    return _refusing(rig, 20.0)


@drill(bar_seconds=BAR_SECONDS, rounds=1, quick_rounds=0, ground=open_ground)
def outage_of_75_seconds(rig: Rig) -> float:
    """The database away for 75 s, and it refuses."""
    return _refusing(rig, 75.0)


@drill(bar_seconds=BAR_SECONDS, rounds=1, quick_rounds=0, ground=open_ground)
def restarts_under_imports(rig: Rig) -> float:
    """The database restarted 20 times under imports."""
    traffic = _traffic(rig, rig.url)
    with traffic.flowing():
        late_seconds = max(_outage(rig, traffic, 0.0) for _ in range(20))
    _settle(rig, traffic)
    return late_seconds


@drill(bar_seconds=BAR_SECONDS, rounds=2, quick_rounds=0)
def silence_of_5_seconds(rig: Rig) -> float:
    """The network to the database swallows everything for 5 s."""
    return _swallowing(rig, 5.0)


@drill(bar_seconds=BAR_SECONDS, rounds=1, quick_rounds=0)
def silence_of_20_seconds(rig: Rig) -> float:
    """The network to the database swallows everything for 20 s."""
    return _swallowing(rig, 20.0)


def _refusing(rig: Rig, seconds: float) -> float:
    traffic = _traffic(rig, rig.url)
    with traffic.flowing():
        late_seconds = _outage(rig, traffic, seconds)
    slowest = max(answer.ended - answer.began for answer in traffic.refusals(0))
    assert slowest < REFUSED_SECONDS, f"refused after {slowest:.1f} s"
    _settle(rig, traffic)
    return late_seconds


def _outage(rig: Rig, traffic: Traffic, seconds: float) -> float:
    """Seconds from the server's return to the last refusal; none comes after the first healthy answer."""
    assert rig.ground.embedded is not None
    time.sleep(STEADY_SECONDS)
    rig.disconnect()
    rig.ground.embedded.stop()
    stopped = time.monotonic()
    time.sleep(seconds)
    rig.ground.embedded.start()
    return _lateness(traffic, stopped, time.monotonic(), since=stopped)


def _swallowing(rig: Rig, seconds: float) -> float:
    with Swallower(rig.url) as network:
        traffic = _traffic(rig, network.url)
        with traffic.flowing():
            time.sleep(STEADY_SECONDS)
            network.cut()
            cut = time.monotonic()
            time.sleep(seconds)
            network.heal()
            healed = time.monotonic()
            # What hung in a statement hangs on: its bytes are lost, and that the network is back it cannot know.
            late_seconds = _lateness(traffic, cut, healed, since=healed)
        _settle(rig, traffic)
        traffic.web.stop()
    return late_seconds


def _lateness(traffic: Traffic, gone: float, returned: float, since: float) -> float:
    """Of what began after `since`: from the return to the last refusal."""
    healthy = traffic.first_healthy(returned)
    eventually(lambda: traffic.have_come(since, healthy), DEADLINE_SECONDS)
    assert [answer for answer in traffic.refusals(gone) if answer.began > healthy] == []
    return max([0.0, *(answer.ended - returned for answer in traffic.refusals(returned) if answer.began > since)])


def _traffic(rig: Rig, url: str) -> Traffic:
    rig.start()
    web = Web.start({**rig.variables, "DATABASE_URL": url, "WEB_CONCURRENCY": 2})
    rig.stack.callback(web.stop)
    return Traffic(web)


def _settle(rig: Rig, traffic: Traffic) -> None:
    """See each import done that was accepted, and those of which the answer was lost but not the job."""
    queued = rig.connection.execute("SELECT id, source FROM jobs WHERE state NOT IN ('uploading', 'failed')").fetchall()
    assert traffic.accepted <= {str(job["id"]) for job in queued}
    for job in queued:
        rig.sent.append(Sent(UUID(str(job["id"])), job["source"], [f"ann@{job['source'].replace(' ', '')}.example"]))
    rig.wait_until_done(*rig.sent)
