"""Patience: how often, how long, and when no more. And chunks: the same bytes in pieces of one size, one at a time."""

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflow.errors import StorageError, StorageUnavailable
from dataflow.storage.chunks import chunks
from dataflow.storage.retry import SHARE_OF_ONE_ATTEMPT, Retries, Schedule

pytestmark = pytest.mark.unit

ERROR = StorageUnavailable("The storage does not answer.")


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def schedule(clock: Clock, *delays: float) -> Schedule:
    return Schedule(delays, clock=clock, wait=clock.wait)


def pauses(retries: Retries) -> int:
    """How many more attempts there are, if nothing ever succeeds."""
    count = 0
    while True:
        try:
            retries.pause(ERROR)
        except StorageError as error:
            assert error is ERROR
            return count
        count += 1


def test_by_default_the_original_s_delays_end_before_a_router_cuts():
    assert Schedule().delays == (0, 3, 5, 10, 20)
    assert Schedule().chunk_seconds <= 45
    assert Schedule().last_chunk_seconds <= 20


def test_each_failure_waits_for_the_next_delay_and_then_the_error_is_raised(clock: Clock):
    retries = Retries(schedule(clock, 0, 3, 5), limit_seconds=100)
    for _ in range(3):
        retries.pause(ERROR)
    assert clock.waits == [0, 3, 5]
    with pytest.raises(StorageUnavailable) as caught:
        retries.pause(ERROR)
    assert caught.value is ERROR
    assert clock.waits == [0, 3, 5]


def test_a_wait_that_is_called_off_ends_the_attempts(clock: Clock):
    retries = Retries(schedule(clock, 0, 3, 5), 100, wait=lambda seconds: seconds == 3)
    retries.pause(ERROR)
    with pytest.raises(StorageUnavailable) as caught:
        retries.pause(ERROR)
    assert caught.value is ERROR


def test_slowness_without_failure_is_bounded_too(clock: Clock):
    retries = Retries(schedule(clock), limit_seconds=10)
    retries.check()
    clock.now += 10.1
    with pytest.raises(StorageUnavailable, match="too slow"):
        retries.check()


def test_an_empty_schedule_is_one_attempt(clock: Clock):
    assert pauses(Retries(schedule(clock), limit_seconds=100)) == 0


def test_failures_are_counted_for_the_log(clock: Clock):
    retries = Retries(schedule(clock, 0, 0), limit_seconds=100)
    assert retries.failures == 0
    assert pauses(retries) == 2
    assert retries.failures == 2


@pytest.mark.parametrize(
    ("limit_seconds", "waits"),
    [(100, [0, 3, 5, 10, 20]), (38, [0, 3, 5, 10]), (20, [0, 3, 5, 10]), (18, [0, 3, 5]), (3, [0]), (0, []), (-1, [])],
)
def test_no_wait_is_begun_that_would_use_up_the_time(clock: Clock, limit_seconds: float, waits: list[float]):
    retries = Retries(schedule(clock, 0, 3, 5, 10, 20), limit_seconds)
    assert pauses(retries) == len(waits)
    assert clock.waits == waits


def test_attempts_take_from_the_time_too(clock: Clock):
    retries = Retries(schedule(clock, 0, 3, 5), limit_seconds=20)
    clock.now += 16
    assert retries.left_seconds == 4
    assert pauses(retries) == 2
    assert clock.waits == [0, 3]


def test_after_a_success_the_schedule_begins_anew_but_the_limit_stands(clock: Clock):
    retries = Retries(schedule(clock, 0, 3), limit_seconds=10)
    retries.pause(ERROR)
    retries.pause(ERROR)
    retries.succeeded()
    assert retries.failures == 0
    assert retries.left_seconds == 7
    assert pauses(retries) == 2
    retries.succeeded()
    clock.now += 4
    assert pauses(retries) == 0


def test_successes_do_not_help_once_the_time_is_up(clock: Clock):
    retries = Retries(schedule(clock, 0), limit_seconds=10)
    clock.now += 10
    retries.succeeded()
    assert pauses(retries) == 0


def test_an_attempt_may_take_its_share_of_the_time_that_is_left(clock: Clock):
    retries = Retries(schedule(clock), limit_seconds=20)
    assert retries.attempt_seconds == pytest.approx(20 * SHARE_OF_ONE_ATTEMPT)
    clock.now += 10
    assert retries.attempt_seconds == pytest.approx(10 * SHARE_OF_ONE_ATTEMPT)


def test_an_attempt_without_an_answer_leaves_time_for_another(clock: Clock):
    retries = Retries(schedule(clock, 0, 3), limit_seconds=20)
    clock.now += retries.attempt_seconds
    retries.pause(ERROR)
    clock.now += retries.attempt_seconds
    assert retries.left_seconds > 3
    retries.pause(ERROR)


@pytest.mark.parametrize("passed_seconds", [8.5, 10, 100])
def test_an_attempt_may_always_take_a_second(clock: Clock, passed_seconds: float):
    retries = Retries(schedule(clock), limit_seconds=10)
    clock.now += passed_seconds
    assert retries.attempt_seconds == 1


def test_the_wait_of_the_caller_takes_the_place_of_the_schedule_s(clock: Clock):
    waited: list[float] = []
    retries = Retries(schedule(clock, 0, 3), 100, waited.append)
    assert pauses(retries) == 2
    assert waited == [0, 3]
    assert clock.waits == []


def test_retries_of_one_schedule_do_not_share_their_failures(clock: Clock):
    shared = schedule(clock, 0, 0)
    assert pauses(Retries(shared, 10)) == 2
    assert pauses(Retries(shared, 10)) == 2


# Chunks


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.binary(max_size=20), max_size=12), st.integers(1, 16))
@example([], 4)
@example([b"", b""], 4)
@example([b"abcd"], 4)
@example([b"abcd", b"", b"efgh", b""], 4)
@example([b"abcde" * 5], 4)
def test_chunks_are_the_same_bytes_all_of_one_size_but_the_last(pieces: list[bytes], chunk_bytes: int):
    found = [(bytes(chunk), is_last) for chunk, is_last in chunks(iter(pieces), chunk_bytes)]
    whole = b"".join(pieces)
    *others, (last, is_last) = found
    assert b"".join(chunk for chunk, _ in found) == whole
    assert [(len(chunk), is_last) for chunk, is_last in others] == [(chunk_bytes, False)] * len(others)
    assert is_last
    assert len(last) <= chunk_bytes
    # An empty one stands for an empty source, and for nothing else.
    assert last or not whole


@pytest.mark.parametrize("pieces", [[], [b""], [b"", b"", b""]])
def test_an_empty_source_is_one_empty_chunk(pieces: list[bytes]):
    assert list(chunks(pieces, 4)) == [(bytearray(), True)]


def test_a_full_chunk_is_given_out_with_the_first_byte_after_it_and_not_later():
    taken: list[bytes] = []

    def source() -> Iterator[bytes]:
        for piece in (b"ab", b"cd", b"e", b"fg"):
            taken.append(piece)
            yield piece

    parts = chunks(source(), 4)
    assert taken == []
    assert next(parts) == (bytearray(b"abcd"), False)
    assert taken == [b"ab", b"cd", b"e"]


def test_what_the_source_raises_ends_the_chunks_without_a_last_one():
    def source() -> Iterator[bytes]:
        yield b"abcdef"
        raise ConnectionResetError

    parts = chunks(source(), 4)
    assert next(parts) == (bytearray(b"abcd"), False)
    with pytest.raises(ConnectionResetError):
        next(parts)


def test_only_one_chunk_exists_at_a_time():
    chunk_bytes, piece_bytes, pieces = 1024 * 1024, 64 * 1024, 100
    parts = chunks((bytes(piece_bytes) for _ in range(pieces)), chunk_bytes)
    sent = 0
    tracemalloc.start()
    try:
        for chunk, _ in parts:
            sent += len(chunk)
            del chunk
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sent == pieces * piece_bytes
    # A growing bytearray reserves an eighth; a second chunk would make it two.
    assert chunk_bytes < peak_bytes < 1.6 * chunk_bytes
