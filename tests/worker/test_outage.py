"""How soon a worker asks again for a database that is away, whatever the outage lasted."""

from pathlib import Path

import pytest

from dataflow.config import Config
from dataflow.queue.attempt import Attempt
from dataflow.storage.registry import open_storage
from dataflow.worker.heartbeat import Heartbeat
from dataflow.worker.loop import Worker
from dataflow.worker.outage import TELL_SECONDS, Outage
from dataflow.worker.sweeper import EVERY_SECONDS, Sweep
from tests.support.attempts import Clock, attempt_at_a_job

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("outage_seconds", [5, 20, 75, 600])
def test_pauses_stay_below_a_second_however_long_the_outage_lasts(outage_seconds: float) -> None:
    clock = Clock()
    outage, began, pauses = Outage(clock), clock.now, []
    while clock.now - began < outage_seconds:
        pauses.append(outage.next_pause_seconds())
        clock.now += pauses[-1]
    assert max(pauses) <= 1
    assert len(pauses) <= 4 * outage_seconds + 5, "nor is an absent server asked without a break"


def test_a_server_that_is_full_is_soon_asked_every_few_seconds_only() -> None:
    clock = Clock()
    outage, pauses = Outage(clock), []
    for _ in range(30):
        pauses.append(outage.next_pause_seconds(is_full=True))
        clock.now += pauses[-1]
    assert pauses[0] <= 0.1
    assert 2.5 <= min(pauses[10:]) <= max(pauses) <= 5


def test_the_first_pause_of_every_outage_is_short() -> None:
    clock = Clock()
    outage = Outage(clock)
    for _ in range(20):
        clock.now += outage.next_pause_seconds()
    clock.now += 3600
    assert outage.next_pause_seconds() <= 0.1


def test_an_outage_is_told_once_and_then_now_and_then() -> None:
    clock = Clock()
    outage, told = Outage(clock), 0
    for _ in range(600):
        told += outage.is_news()
        clock.now += 1
    assert told == 600 / TELL_SECONDS


class Waits:
    """In the place of an event or of the loop's waiting: notes how long each would take, and lets none take any."""

    def __init__(self, count: int) -> None:
        self.seconds: list[float] = []
        self._count = count

    def wait(self, seconds: float) -> bool:
        """Whether it is enough."""
        self.seconds.append(seconds)
        return len(self.seconds) > self._count


@pytest.fixture
def away(tmp_path: Path) -> Config:
    """Settings that lead to no server."""
    url = f"postgresql://postgres@/x?host={tmp_path}"
    return Config.from_env({"DATABASE_URL": url, "DATA_DIR": str(tmp_path / "state")})


def test_the_loop_of_a_worker_connects_again_and_again(away: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, waits = Worker(away, open_storage(away)), Waits(30)

    def wait(_listeners: object, seconds: float) -> None:
        worker._stop_signals += waits.wait(seconds)

    monkeypatch.setattr(worker, "_wait", wait)
    worker._serve_until_stopped(once=False)
    assert len(waits.seconds) > 30
    assert max(waits.seconds) <= 1


def test_beats_that_find_no_database_are_tried_again_before_the_next_is_due(away: Config) -> None:
    attempts: list[Attempt] = [attempt_at_a_job()]
    heartbeat, waits = Heartbeat(away.database_url, "beat", lambda: attempts, 5.0), Waits(30)
    heartbeat._stopping = waits  # type: ignore[assignment]
    heartbeat._run()
    assert waits.seconds[0] == 5.0
    assert max(waits.seconds[1:]) <= 1


def test_a_sweep_that_finds_no_database_is_tried_again_before_the_next_is_due(away: Config) -> None:
    sweep, waits = Sweep(away, open_storage(away), "sweep"), Waits(30)
    sweep._stopping = waits  # type: ignore[assignment]
    sweep._run()
    assert waits.seconds[0] >= EVERY_SECONDS / 2
    assert max(waits.seconds[1:]) <= 1
