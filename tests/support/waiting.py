"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: For what is sure to come: a machine that is busy with other things has failed no test.
DEADLINE_SECONDS = 60.0


def eventually(ask: Callable[[], T | None], seconds: float = DEADLINE_SECONDS, every_seconds: float = 0.02) -> T:
    """What `ask` returns as soon as that is true; fails the test when it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {ask}"
        time.sleep(every_seconds)
    return answer
