"""An attempt at a job without a database, and a clock that the test moves."""

from dataflow.ids import uuid7
from dataflow.queue.attempt import Attempt
from dataflow.queue.jobs import Job


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def attempt_at_a_job() -> Attempt:
    """One that the clock alone decides about."""
    return Attempt(Job(uuid7(), "import", 1, 0, 5, 0, "s", "k.csv", 10, "csv", [], {}, None, None, None, None))
