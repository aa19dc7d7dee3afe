"""UUIDv7: the bits of RFC 9562, and ranges that ascend."""

import time
from itertools import pairwise
from uuid import RFC_4122, UUID

import pytest

from dataflow import ids
from dataflow.ids import MAX_BATCH_ROWS, IdRange, uuid7

pytestmark = pytest.mark.unit


def milliseconds_of(value: UUID) -> int:
    return value.int >> 80


def now_milliseconds() -> int:
    return time.time_ns() // 1_000_000


def assert_version_7(value: UUID) -> None:
    assert value.version == 7
    assert value.variant == RFC_4122


def take(made: IdRange, count: int) -> list[str]:
    """The next ids, whole."""
    shared, own = made.take(count)
    return [shared + digits for digits in own]


def near_its_end(rows_left: int) -> IdRange:
    """A range that goes on under the next time stamp after about `rows_left` rows."""
    found = IdRange()
    found._low = ids._END_OF_LOW - ids._BATCH_SPAN - 1 - (rows_left << 31)
    return found


def test_a_single_id_has_its_version_variant_and_time():
    before = now_milliseconds()
    made = [uuid7() for _ in range(1_000)]
    after = now_milliseconds()
    for value in made:
        assert_version_7(value)
        assert before <= milliseconds_of(value) <= after
    assert len(set(made)) == 1_000


def test_single_ids_sort_by_the_millisecond_of_their_creation():
    first = uuid7()
    while now_milliseconds() == milliseconds_of(first):
        pass
    assert uuid7() > first


def test_every_random_bit_of_a_single_id_varies():
    made = [uuid7().int for _ in range(200)]
    ones = zeros = 0
    for value in made:
        ones |= value
        zeros |= ~value
    random_bits = (0xFFF << 64) | ((1 << 62) - 1)
    assert ones & zeros & random_bits == random_bits


def test_a_range_has_version_variant_and_time_throughout():
    before = now_milliseconds()
    values = [UUID(text) for text in take(IdRange(), 5_000)]
    for value in values:
        assert_version_7(value)
        assert before <= milliseconds_of(value) <= now_milliseconds()
    assert len({value.int >> 64 for value in values}) == 1


def test_an_id_is_32_hexadecimal_digits():
    for text in take(IdRange(), 100):
        assert len(text) == 32
        assert UUID(text).hex == text


@pytest.mark.parametrize("batches", [[1], [1] * 500, [3, 1, 1000, 2, 7], [MAX_BATCH_ROWS, 1, MAX_BATCH_ROWS]])
def test_ids_ascend_strictly_over_all_batches(batches: list[int]):
    made = IdRange()
    taken = [text for count in batches for text in take(made, count)]
    assert len(taken) == sum(batches)
    assert all(one < other for one, other in pairwise(taken))


def test_first_and_last_are_the_ends_of_the_range():
    made = IdRange()
    assert made.first is made.last is None
    taken = take(made, 1)
    assert made.first == made.last == UUID(taken[0])
    taken += take(made, 10)
    taken += take(made, 3)
    assert (made.first, made.last) == (UUID(taken[0]), UUID(taken[-1]))


def test_a_neighbour_is_one_to_2_to_the_32_away_and_cannot_be_guessed():
    values = [UUID(text).int for text in take(IdRange(), 20_000)]
    gaps = [other - one for one, other in pairwise(values)]
    assert min(gaps) >= 1
    assert max(gaps) <= 1 << 32
    assert len(set(gaps)) > 19_900
    assert max(gaps) > 0.99 * 2**32
    assert min(gaps) < 0.01 * 2**32


def test_a_range_leaves_room_for_half_a_billion_rows():
    starts = [IdRange()._low for _ in range(200)]
    assert ids._END_OF_LOW - max(starts) >= 2**29 * 2**32
    # The random start uses all of the rest.
    assert max(starts) - min(starts) > 2**60


def test_ranges_of_many_attempts_do_not_meet():
    ranges = [IdRange() for _ in range(50)]
    taken = [text for _ in range(20) for made in ranges for text in take(made, 50)]
    assert len(set(taken)) == len(taken) == 50_000


@pytest.mark.parametrize("rows_left", [0, 1, 100, 1000])
@pytest.mark.parametrize("count", [1, 7, 100])
def test_a_range_goes_on_ascending_where_its_low_bits_end(rows_left: int, count: int):
    made = near_its_end(rows_left)
    high = made._high
    taken = take(made, count)
    for _ in range(2 * rows_left + 100):
        taken += take(made, count)
    taken += take(made, MAX_BATCH_ROWS)
    values = [int(text, 16) for text in taken]
    assert all(one < other for one, other in pairwise(values))
    assert {value >> 64 for value in values} == {high, high + (1 << 16)}
    before, after = UUID(taken[0]), UUID(taken[-1])
    assert milliseconds_of(after) == milliseconds_of(before) + 1
    assert_version_7(before)
    assert_version_7(after)
    assert (made.first, made.last) == (before, after)


def test_the_largest_steps_stay_within_the_low_bits(monkeypatch: pytest.MonkeyPatch):
    made = near_its_end(0)
    monkeypatch.setattr("os.urandom", lambda size: b"\xff" * size)
    taken = take(made, MAX_BATCH_ROWS)
    assert UUID(taken[-1]).int >> 64 == made._high
    assert_version_7(UUID(taken[-1]))


def test_a_step_of_nothing_is_thrown_again(monkeypatch: pytest.MonkeyPatch):
    throws = iter([b"\x01\0\0\0\0\0\0\0", b"\x01\0\0\0\x02\0\0\0"])
    made = IdRange()
    monkeypatch.setattr("os.urandom", lambda size: next(throws))
    first, second = take(made, 2)
    assert UUID(first) < UUID(second)
