"""How soon a worker asks again for a database that is away, whatever the outage lasted."""

import pytest

from dataflow.outage import TELL_SECONDS, Outage
from tests.test_watchdog import Clock

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
