"""How much computing a call may take, on a machine of any speed: as a multiple of a reference taken in the same moment.

Seconds will not do. The same call takes four times as long under coverage, and the machine that runs the tests next is
another one.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# About 3 s. The slowest of today takes a quarter of it; what it holds down took from ten seconds to minutes.
MOMENT = 300.0


def _seconds(call: Callable[[], object]) -> float:
    """Of this thread alone: what servers in other threads of the process compute does not count."""
    began = time.thread_time()
    call()
    return time.thread_time() - began


def _reference() -> int:
    """About 10 ms of plain Python."""
    total = 0
    for number in range(300_000):
        total += number & 7
    return total


@contextmanager
def at_most(references: float = MOMENT) -> Iterator[None]:
    """Fail the test when the block computes for longer than `references` times the reference, about 10 ms each.

    The reference is measured on both sides of it: a processor that others begin to share meanwhile computes slower.
    """
    before_seconds = min(_seconds(_reference) for _ in range(3))
    began = time.thread_time()
    yield
    block_seconds = time.thread_time() - began
    reference_seconds = max(before_seconds, min(_seconds(_reference) for _ in range(3)))
    taken = block_seconds / reference_seconds
    assert taken < references, f"computed for {taken:.0f} references of {reference_seconds * 1000:.1f} ms each"
