"""Pace and room of transfers, by a clock that the tests move: who is too slow, who fits, who gives way."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataflow.errors import RequestError, TooManyUploads
from dataflow.web.server.pace import SLOW_BYTES_SECOND, Pace
from dataflow.web.server.transfers import FREE_BYTES, Transfer, Transfers
from tests.support.errors import has_code
from tests.support.waiting import eventually

pytestmark = pytest.mark.unit

KIB, MIB = 1024, 1024 * 1024
STALL_SECONDS, MIN_BYTES_SECOND = 30, 500
CHUNK_BYTES, MAX_UPLOADS = 6 * MIB, 4


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(STALL_SECONDS, MIN_BYTES_SECOND, clock)


@pytest.fixture
def transfers(clock: Clock) -> Transfers:
    return Transfers(MAX_UPLOADS, CHUNK_BYTES, STALL_SECONDS, MIN_BYTES_SECOND, clock)


def send(pace: Pace, clock: Clock, size_bytes: int, seconds: float) -> None:
    """So many bytes come after so long a wait."""
    pace.begin_wait()
    clock.advance(seconds)
    pace.check()
    pace.end_wait()
    pace.note(size_bytes)


def seconds_until_cut(pace: Pace, clock: Clock, size_bytes: int, every_seconds: float) -> float:
    began = clock.now
    with pytest.raises(RequestError, check=has_code("upload_stalled")):
        while clock.now < began + 3600:
            send(pace, clock, size_bytes, every_seconds)
    return clock.now - began


# Pace


def test_silence_is_cut_after_the_stall_seconds(pace: Pace, clock: Clock) -> None:
    pace.begin_wait()
    clock.advance(STALL_SECONDS - 0.1)
    pace.check()
    assert pace.left_seconds == pytest.approx(0.1)
    clock.advance(0.1)
    with pytest.raises(
        RequestError, match=r"sent nothing for 30 s \(UPLOAD_STALL_SECONDS\)", check=has_code("upload_stalled")
    ):
        pace.check()


@pytest.mark.parametrize("every_seconds", [0.01, 1, 5, 29])
def test_a_byte_now_and_then_buys_no_time(pace: Pace, clock: Clock, every_seconds: float) -> None:
    assert STALL_SECONDS <= seconds_until_cut(pace, clock, 1, every_seconds) <= 1.3 * STALL_SECONDS + every_seconds


def test_who_is_too_slow_is_told_the_rate_and_the_limit(pace: Pace, clock: Clock) -> None:
    with pytest.raises(
        RequestError,
        match=r"came at 97 bytes a second. Fewer than 500 \(UPLOAD_MIN_BYTES_SECOND\) over 30 s",
        check=has_code("upload_stalled"),
    ):
        for _ in range(1000):
            send(pace, clock, 100, 1)


@pytest.mark.parametrize(("size_bytes", "every_seconds"), [(500, 1), (1000, 1), (14_500, 29), (4, 0.004)])
def test_whoever_keeps_to_the_rate_is_never_cut(
    pace: Pace, clock: Clock, size_bytes: int, every_seconds: float
) -> None:
    for _ in range(5000):
        send(pace, clock, size_bytes, every_seconds)


def test_pauses_between_fast_bytes_are_forgiven(pace: Pace, clock: Clock) -> None:
    for _ in range(10):
        send(pace, clock, 64 * KIB, 20)


def test_a_fast_beginning_does_not_pay_for_a_slow_rest(pace: Pace, clock: Clock) -> None:
    send(pace, clock, 1024 * MIB, 0)
    assert seconds_until_cut(pace, clock, 1, 5) <= STALL_SECONDS + 5


def test_time_that_nobody_waits_for_the_client_costs_nothing(pace: Pace, clock: Clock) -> None:
    send(pace, clock, 1, 29)
    clock.advance(3600)
    pace.check()
    assert not pace.is_slow
    pace.begin_wait()
    pace.check()


def test_without_a_rate_any_byte_is_enough(clock: Clock) -> None:
    pace = Pace(STALL_SECONDS, 0, clock)
    for _ in range(100):
        send(pace, clock, 1, 29)
    assert seconds_until_cut(pace, clock, 0, 29) <= 58


@pytest.mark.parametrize(
    ("bytes_second", "is_slow"),
    [(100, True), (1000, True), (SLOW_BYTES_SECOND // 2, True), (SLOW_BYTES_SECOND * 2, False)],
)
def test_slow_is_who_is_waited_for_and_was_slow_for_a_while(
    pace: Pace, clock: Clock, bytes_second: int, is_slow: bool
) -> None:
    send(pace, clock, bytes_second, 1)
    send(pace, clock, bytes_second, 1)
    pace.begin_wait()
    assert not pace.is_slow, "too early to tell"
    pace.end_wait()
    for _ in range(20):
        send(pace, clock, bytes_second // 2, 0.5)
    assert not pace.is_slow, "it is not being waited for"
    pace.begin_wait()
    clock.advance(0.4)
    assert pace.is_slow is is_slow


# Room


def never() -> bool:
    return False


def held(transfers: Transfers, *sizes: int | None) -> list[Transfer]:
    found = []
    for size in sizes:
        found.append(transfers.begin())
        transfers.reserve(found[-1], size, never)
    return found


def fill(transfers: Transfers) -> list[Transfer]:
    """As many great bodies as there may be, and one in the last share that is not quite as great."""
    return held(transfers, *[None] * (MAX_UPLOADS - 1), CHUNK_BYTES - 1)


def patience(clock: Clock) -> Callable[[], bool]:
    """A client that stays, while time passes."""

    def look() -> bool:
        clock.advance(1)
        return False

    return look


def make_slow(clock: Clock, *slow: tuple[Transfer, int], seconds: int = 6) -> None:
    """Each has sent so many bytes a second, and is being waited for."""
    for transfer, _ in slow:
        transfer.pace.begin_wait()
    for _ in range(seconds):
        clock.advance(1)
        for transfer, bytes_second in slow:
            transfer.pace.end_wait()
            transfer.pace.note(bytes_second)
            transfer.pace.begin_wait()
    clock.advance(0.1)


@pytest.fixture
def other_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as found:
        yield found


def test_the_budget_is_what_all_uploads_may_buffer(transfers: Transfers, clock: Clock) -> None:
    assert transfers.free_places() == 3
    first, second, _ = held(transfers, 10**10, MIB, None)
    assert transfers.free_places() == 0
    held(transfers, 5 * MIB, MIB, 5 * MIB)
    with pytest.raises(TooManyUploads, match=r"may hold 25165824 bytes .* no 70000 left"):
        transfers.reserve(transfers.begin(), 70_000, patience(clock))
    transfers.end(second)
    held(transfers, 70_000)
    transfers.end(first)
    held(transfers, 5 * MIB)


def test_the_last_share_is_for_bodies_of_less_than_a_chunk(transfers: Transfers, clock: Clock) -> None:
    held(transfers, 10**10, CHUNK_BYTES, None)
    with pytest.raises(TooManyUploads):
        transfers.reserve(transfers.begin(), 10**10, patience(clock))
    held(transfers, CHUNK_BYTES - 1)


def test_the_only_share_is_for_all(clock: Clock) -> None:
    transfers = Transfers(1, CHUNK_BYTES, STALL_SECONDS, MIN_BYTES_SECOND, clock)
    assert transfers.free_places() == 1
    held(transfers, 10**10)


def test_small_bodies_reserve_nothing(transfers: Transfers) -> None:
    fill(transfers)
    assert [transfer.amount for transfer in held(transfers, 0, 1, FREE_BYTES)] == [0, 0, 0]


def test_who_has_left_waits_no_longer(transfers: Transfers) -> None:
    fill(transfers)
    with pytest.raises(RequestError, check=has_code("incomplete_body")):
        transfers.reserve(transfers.begin(), MIB, lambda: True)
    assert transfers.free_places() == 0


def test_a_place_that_becomes_free_is_taken_by_who_waits(
    transfers: Transfers, other_thread: ThreadPoolExecutor
) -> None:
    first, *_ = fill(transfers)
    waiting = other_thread.submit(held, transfers, MIB)
    transfers.end(first)
    assert waiting.result()[0].amount == MIB


def test_a_great_wish_does_not_keep_small_ones_out(
    transfers: Transfers, clock: Clock, other_thread: ThreadPoolExecutor
) -> None:
    held(transfers, MIB, *[None] * (MAX_UPLOADS - 2), CHUNK_BYTES - 1)
    asked = threading.Event()
    great = other_thread.submit(transfers.reserve, transfers.begin(), 10**10, lambda: bool(asked.set()))
    asked.wait(20)
    held(transfers, *[MIB] * 5)
    assert not great.done()
    clock.advance(60)
    assert isinstance(great.exception(), TooManyUploads)


def test_without_room_the_slowest_gives_way(
    transfers: Transfers, clock: Clock, other_thread: ThreadPoolExecutor
) -> None:
    uploads = fill(transfers)
    make_slow(clock, *zip(uploads, (1000, 400, 100_000, 20_000), strict=True))
    waiting = other_thread.submit(held, transfers, MIB)
    slowest = eventually(lambda: next((upload for upload in uploads if upload.is_displaced), None))
    assert slowest is uploads[1]
    with pytest.raises(RequestError, match=r"393 bytes a second", check=has_code("upload_displaced")):
        slowest.check()
    transfers.end(slowest)
    assert waiting.result()[0].amount == MIB
    assert [upload.is_displaced for upload in uploads] == [False, True, False, False]


def test_no_more_give_way_than_are_needed_and_those_that_hold_nothing_are_no_help(
    transfers: Transfers, clock: Clock
) -> None:
    uploads = fill(transfers)
    idle = held(transfers, 10)
    make_slow(clock, *((upload, 1000 + number) for number, upload in enumerate(uploads)), (idle[0], 1))
    with pytest.raises(TooManyUploads):  # as nobody ends those that have to give way
        transfers.reserve(transfers.begin(), MIB, patience(clock))
    assert [upload.is_displaced for upload in [*uploads, *idle]] == [True, False, False, False, False]


@pytest.mark.parametrize(("bytes_second", "seconds"), [(1000, 3), (SLOW_BYTES_SECOND * 2, 60)], ids=["young", "fast"])
def test_no_young_and_no_fast_upload_gives_way(
    transfers: Transfers, clock: Clock, bytes_second: int, seconds: int
) -> None:
    uploads = fill(transfers)
    make_slow(clock, *((upload, bytes_second) for upload in uploads), seconds=seconds)
    assert not transfers.make_room()
    # Without its own clock moving, nobody grows older while this waits.
    with pytest.raises(RequestError, check=has_code("incomplete_body")):
        transfers.reserve(transfers.begin(), MIB, lambda: True)
    assert not any(upload.is_displaced for upload in uploads)


def test_an_upload_that_is_not_being_waited_for_does_not_give_way(transfers: Transfers, clock: Clock) -> None:
    [upload] = held(transfers, None)
    make_slow(clock, (upload, 100))
    upload.pace.end_wait()
    clock.advance(60)
    assert not transfers.make_room()
    upload.pace.begin_wait()
    assert transfers.make_room()
    assert not transfers.make_room(), "it is on its way already"


def test_for_a_thread_even_one_that_holds_nothing_gives_way(transfers: Transfers, clock: Clock) -> None:
    slow, fast = held(transfers, 10, 10)
    make_slow(clock, (slow, 1))
    assert transfers.make_room()
    assert not transfers.make_room()
    assert (slow.is_displaced, fast.is_displaced) == (True, False)


def test_files_have_places_of_their_own_and_the_slowest_reader_is_hung_up_on(
    transfers: Transfers, clock: Clock
) -> None:
    fill(transfers)
    hung_up = threading.Event()
    with transfers.file(hung_up.set, never) as slow, transfers.file(never, never), transfers.file(never, never):
        with transfers.file(never, never), pytest.raises(TooManyUploads, match="sends 4 rejects files"):  # noqa: SIM117
            with transfers.file(never, patience(clock)):
                pytest.fail("there was a fifth place")
        with transfers.file(never, never):
            make_slow(clock, (slow, 1000))
            with pytest.raises(TooManyUploads), transfers.file(never, patience(clock)):
                pytest.fail("there was a fifth place")
            assert hung_up.is_set()
    assert transfers.free_places() == 0


def test_exports_have_places_beside_those_of_files_and_bodies(clock: Clock) -> None:
    transfers = Transfers(MAX_UPLOADS, CHUNK_BYTES, STALL_SECONDS, MIN_BYTES_SECOND, clock, max_exports=2)
    fill(transfers)
    hung_up = threading.Event()
    with transfers.file(never, never), transfers.export(never, never), transfers.export(hung_up.set, never) as slow:
        with (
            pytest.raises(RequestError, match="sends 2 exports", check=has_code("too_many_exports")),
            transfers.export(never, patience(clock)),
        ):
            pytest.fail("there was a third place")
        transfers.cut()
        assert hung_up.is_set()
        assert slow.is_displaced
    with transfers.export(never, never) as late:
        assert late.is_displaced
