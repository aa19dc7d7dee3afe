"""Faults between us and a storage server, each injected for real: what was sent is what is read back, or it is said."""

import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dataflow.errors import (
    DataFlowError,
    ObjectMissing,
    ObjectTooLarge,
    StorageError,
    StorageUnavailable,
    UploadLost,
)
from dataflow.storage.base import Description, Storage, StoredObject
from dataflow.storage.retry import Schedule
from dataflow.storage.stop import Stop
from dataflow.storage.supabase import upload
from tests.doubles.storage.process import StorageDouble
from tests.support.errors import has_code
from tests.support.objects import store
from tests.support.storages import CHUNK_BYTES, IMPATIENT, assert_wakes_when_closed, open_supabase
from tests.support.waiting import eventually

pytestmark = pytest.mark.unit

KEY = "k.csv"
SIZE_BYTES = 3 * CHUNK_BYTES + 7
CONTENT = random.Random(3).randbytes(SIZE_BYTES)
PATCH, POST, HEAD, GET, DELETE = "PATCH", "POST", "HEAD", "GET", "DELETE"
UPLOADS, OBJECTS = "/upload/resumable", "/object/imports/"
DOWNLOADS, INFO = "/object/authenticated/", "/object/info/"
#: Long enough for a server that is being started again.
PATIENT = Schedule((0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 1.6, 1.6))


@pytest.fixture
def storage(fresh_double: StorageDouble) -> Storage:
    return open_supabase(fresh_double)


@pytest.fixture
def asked(fresh_double: StorageDouble) -> Callable[..., list[dict[str, Any]]]:
    """The requests of a method whose path holds a text, in order."""

    def find(method: str, path: str = "") -> list[dict[str, Any]]:
        return [entry for entry in fresh_double.journal() if entry["method"] == method and path in entry["path"]]

    return find


def in_pieces(whole: bytes = CONTENT, piece_bytes: int = 10_000) -> Iterator[bytes]:
    return (whole[start : start + piece_bytes] for start in range(0, len(whole), piece_bytes))


def read(storage: Storage, piece_bytes: int = 10_000) -> bytes:
    with storage.open(KEY) as reader:
        return b"".join(reader.pieces(piece_bytes))


BRIEF = {"times": 2}
UPLOAD_FAULTS: dict[str, dict[str, Any]] = {
    "reset in a PATCH, its bytes kept": {"deed": "reset", "method": PATCH, "after_bytes": 30_000},
    "reset in a PATCH, its bytes dropped": {"deed": "reset", "method": PATCH, "after_bytes": 30_000, "keep": False},
    "reset in the last PATCH": {"deed": "reset", "method": PATCH, "after_bytes": 3, "skip": 3},
    "the answer to a PATCH lost": {"deed": "lose_answer", "method": PATCH, "skip": 1},
    "the answer to the last PATCH lost": {"deed": "lose_answer", "method": PATCH, "skip": 3},
    "the answers to PATCH and HEAD lost": {"deed": "lose_answer", "path": UPLOADS + "/", "skip": 1, "times": 3},
    "the answer to the creation lost": {"deed": "lose_answer", "method": POST, "path": UPLOADS},
    "the creation refused for a while": {"deed": "answer", "method": POST, "path": UPLOADS, "status": 544, **BRIEF},
    "a burst of 544": {"deed": "answer", "method": PATCH, "status": 544, "skip": 1, "times": 3},
    "a burst of 503": {"deed": "answer", "path": UPLOADS + "/", "status": 503, "skip": 2, "times": 4},
    "a lock that cannot be had": {
        "deed": "answer",
        "method": PATCH,
        "status": 503,
        "body": "acquiring lock timeout",
        "read_body": False,
        **BRIEF,
    },
    "too many requests": {"deed": "answer", "method": PATCH, "status": 429, **BRIEF},
    "a gateway's page": {"deed": "answer", "method": PATCH, "status": 502, "body": "<html>Bad gateway</html>"},
    "an offset too small": {"deed": "offset", "method": PATCH, "skip": 1, "delta": -1000},
    "an offset too large": {"deed": "offset", "method": PATCH, "delta": -1},
    "acknowledged bytes of the chunk gone": {"deed": "set_back", "method": HEAD, "lost_bytes": 10_000},
    "the first chunk's upload forgotten": {"deed": "forget_upload", "method": PATCH},
    "info unavailable": {"deed": "answer", "path": INFO, "status": 500, **BRIEF},
    "the answer to info lost": {"deed": "lose_answer", "path": INFO},
}


@pytest.mark.parametrize("fault", UPLOAD_FAULTS)
def test_an_upload_survives(fault: str, fresh_double: StorageDouble, storage: Storage) -> None:
    if fault == "acknowledged bytes of the chunk gone":
        fresh_double.fault("reset", method=PATCH, after_bytes=30_000)
    fresh_double.fault(**UPLOAD_FAULTS[fault])
    assert store(storage, KEY, in_pieces()).size_bytes == SIZE_BYTES
    assert read(storage) == CONTENT


SMALL_FAULTS: dict[str, dict[str, Any]] = {
    "reset in the body": {"deed": "reset", "method": POST, "after_bytes": 100},
    "the answer lost": {"deed": "lose_answer", "method": POST},
    "500": {"deed": "answer", "method": POST, "status": 500, "body": {"statusCode": "500", "message": "x"}},
    "a lock time-out in its disguise": {
        "deed": "answer",
        "method": POST,
        "status": 400,
        "body": {"statusCode": "503", "error": "LockTimeout", "message": "lock", "code": "LockTimeout"},
    },
}


@pytest.mark.parametrize("fault", SMALL_FAULTS)
def test_a_small_upload_survives(fault: str, fresh_double: StorageDouble, storage: Storage) -> None:
    fresh_double.fault(path=OBJECTS, **SMALL_FAULTS[fault])
    store(storage, KEY, [b"name,email\n"])
    assert read(storage) == b"name,email\n"


LOSSES: dict[str, dict[str, Any]] = {
    "the upload forgotten after a chunk was dropped": {"deed": "forget_upload", "method": PATCH, "skip": 1},
    "an acknowledged chunk gone": {"deed": "set_back", "method": HEAD, "lost_bytes": CHUNK_BYTES + 40_000},
    "an offset beyond what was sent": {"deed": "offset", "method": PATCH, "skip": 1, "delta": 1},
}


@pytest.mark.parametrize("loss", LOSSES)
def test_an_upload_that_lost_bytes_which_nobody_has_any_more_fails_clearly(
    loss: str, fresh_double: StorageDouble, storage: Storage
) -> None:
    if "gone" in loss:
        fresh_double.fault("reset", method=PATCH, after_bytes=30_000, skip=1)
    fresh_double.fault(**LOSSES[loss])
    addresses: list[str | None] = []
    with pytest.raises(UploadLost, match="Send the file again") as caught:
        storage.put(KEY, in_pieces(), lambda: Description("text/csv"), addresses.append)
    assert caught.value.retryable
    storage.discard(KEY, addresses[-1])
    with pytest.raises(ObjectMissing):
        read(storage)


def test_a_server_killed_and_restarted_four_times_in_200_mb_gets_every_byte(tmp_path: Path) -> None:
    chunk_bytes, piece = 6 << 20, random.Random(7).randbytes(1 << 20)
    with StorageDouble.start(tmp_path, bytes_per_second=400_000_000) as double:
        double.make_bucket("imports")
        storage, digest = open_supabase(double, chunk_bytes=chunk_bytes, schedule=PATIENT), hashlib.sha256()
        killers: list[threading.Thread] = []

        def kill_in_mid_patch() -> None:
            eventually(lambda: any(is_half_received(entry) for entry in double.journal()), every_seconds=0.001)
            double.restart()

        def is_half_received(entry: dict[str, Any]) -> bool:
            return entry["method"] == PATCH and entry["ended"] is None and entry["received_bytes"] > 0

        def pieces() -> Iterator[bytes]:
            for number in range(200):
                # None near the end, where no PATCH may be left to be killed in.
                if number in (6, 54, 102, 150):
                    killers.append(threading.Thread(target=kill_in_mid_patch))
                    killers[-1].start()
                whole = bytes([number]) + piece
                digest.update(whole)
                yield whole

        stored = store(storage, KEY, pieces())
        for killer in killers:
            killer.join()
        assert len(killers) == 4
        assert stored.size_bytes == 200 * (1 + len(piece))
        with storage.open(KEY) as reader:
            came_back = hashlib.sha256()
            for received in reader.pieces(1 << 20):
                came_back.update(received)
        assert came_back.digest() == digest.digest()


def test_a_server_that_stays_away_is_given_up_in_time_and_what_it_keeps_is_removed_later(tmp_path: Path) -> None:
    with StorageDouble.start(tmp_path) as double:
        double.make_bucket("imports")
        storage, addresses = open_supabase(double), list[str | None]()

        def dying() -> Iterator[bytes]:
            yield from in_pieces()
            double.kill()

        began = time.monotonic()
        with pytest.raises(StorageUnavailable, match="Connection refused"):
            storage.put(KEY, dying(), lambda: Description("text/csv"), addresses.append)
        assert time.monotonic() - began < 5
        with pytest.raises(StorageUnavailable):
            storage.discard(KEY, addresses[0])
        double.restart()
        assert list((tmp_path / "bytes").iterdir()) != []
        storage.discard(KEY, addresses[0])
        assert list((tmp_path / "bytes").iterdir()) == []


@pytest.mark.parametrize(("is_last", "limit_seconds"), [(True, 1.0), (False, 2.0)], ids=["last chunk", "mid-body"])
def test_a_server_that_never_answers_is_given_up_within_the_limit_of_the_chunk(
    is_last: bool, limit_seconds: float, fresh_double: StorageDouble
) -> None:
    schedule = Schedule((0.0, 0.1, 0.1, 0.1, 0.1, 0.1), chunk_seconds=2.0, last_chunk_seconds=1.0)
    storage = open_supabase(fresh_double, schedule=schedule)
    fresh_double.fault("stall", path=UPLOADS + "/", skip=0 if not is_last else 1, times=20)
    size_bytes = CHUNK_BYTES + 1 if is_last else 3 * CHUNK_BYTES
    chunk_was_full: list[float] = []

    def pieces() -> Iterator[bytes]:
        for piece in in_pieces(CONTENT[:size_bytes]):
            chunk_was_full.append(time.monotonic())
            yield piece

    with pytest.raises(StorageUnavailable, match="timed out"):
        store(storage, KEY, pieces())
    waited_seconds = time.monotonic() - chunk_was_full[-1]
    # The last question of all may take a second, whatever is left.
    assert limit_seconds * 0.5 < waited_seconds < limit_seconds + 4


def test_a_slow_client_never_holds_a_request_to_the_storage_open(
    fresh_double: StorageDouble, storage: Storage, asked: Callable[..., list[dict[str, Any]]]
) -> None:
    def slow() -> Iterator[bytes]:
        for piece in in_pieces():
            # Whenever the client is waited for; the server needs a moment to write down an end.
            eventually(lambda: all(entry["ended"] is not None for entry in fresh_double.journal()), seconds=1)
            yield piece

    store(storage, KEY, slow())
    assert [entry["received_bytes"] for entry in asked(PATCH)] == [CHUNK_BYTES] * 3 + [7]


@pytest.mark.parametrize("seed", range(6))
def test_a_download_cut_at_random_bytes_goes_on_where_it_was(
    seed: int, fresh_double: StorageDouble, storage: Storage, asked: Callable[..., list[dict[str, Any]]]
) -> None:
    store(storage, KEY, in_pieces())
    chance = random.Random(seed)
    for _ in range(4):
        end = chance.choice(["rst", "fin"])
        after_bytes = chance.randrange(1, SIZE_BYTES // 5)
        fresh_double.fault("cut", method=GET, path=DOWNLOADS, after_bytes=after_bytes, end=end)
    assert read(storage, piece_bytes=chance.choice([1000, 65536])) == CONTENT
    ranges = [entry["headers"].get("range") for entry in asked(GET, DOWNLOADS)]
    assert ranges[0] is None
    assert len(ranges) == 5
    assert all(entry["status"] in (200, 206) for entry in asked(GET, DOWNLOADS))


def test_a_download_that_begins_in_the_middle_goes_on_where_it_was_cut(
    fresh_double: StorageDouble, storage: Storage, asked: Callable[..., list[dict[str, Any]]]
) -> None:
    store(storage, KEY, in_pieces())
    fresh_double.fault("cut", method=GET, path=DOWNLOADS, after_bytes=100_000)
    with storage.open(KEY, 1000) as reader:
        assert b"".join(reader.pieces(1000)) == CONTENT[1000:]
    first, second = (entry["headers"].get("range") for entry in asked(GET, DOWNLOADS))
    assert first == "bytes=1000-"
    assert int(second.removeprefix("bytes=").rstrip("-")) > 1000


def test_one_that_begins_in_the_middle_and_changes_is_not_put_together(
    fresh_double: StorageDouble, storage: Storage
) -> None:
    store(storage, KEY, in_pieces())
    fresh_double.fault("cut", method=GET, path=DOWNLOADS, after_bytes=100_000)
    with storage.open(KEY, 1000) as reader:
        pieces = reader.pieces(1000)
        next(pieces)
        store(storage, KEY, [CONTENT[::-1]])
        with pytest.raises(StorageError, match="changed while it was read"):
            list(pieces)


def test_no_range_is_asked_for_at_the_end_of_an_object(
    fresh_double: StorageDouble, storage: Storage, asked: Callable[..., list[dict[str, Any]]]
) -> None:
    store(storage, KEY, in_pieces())
    fresh_double.fault("cut", method=GET, path=DOWNLOADS, after_bytes=SIZE_BYTES, end="rst")
    assert read(storage) == CONTENT
    assert all(entry["status"] != 416 for entry in asked(GET, DOWNLOADS))


DOWNLOAD_FAULTS: dict[str, dict[str, Any]] = {
    "500 instead of the object": {"deed": "answer", "path": DOWNLOADS, "status": 500, "times": 3},
    "544 in JSON": {"deed": "answer", "path": DOWNLOADS, "status": 544, "body": {"statusCode": "544"}},
    "reset before the first byte": {"deed": "lose_answer", "path": DOWNLOADS},
    "info unavailable": {"deed": "answer", "path": INFO, "status": 503, **BRIEF},
}


@pytest.mark.parametrize("fault", DOWNLOAD_FAULTS)
def test_a_download_survives(fault: str, fresh_double: StorageDouble, storage: Storage) -> None:
    store(storage, KEY, in_pieces())
    fresh_double.fault(**DOWNLOAD_FAULTS[fault])
    assert read(storage) == CONTENT


def test_a_download_that_cannot_go_on_ends_with_an_error(fresh_double: StorageDouble, storage: Storage) -> None:
    store(storage, KEY, in_pieces())
    fresh_double.fault("cut", method=GET, path=DOWNLOADS, after_bytes=100)
    fresh_double.fault("answer", method=GET, path=DOWNLOADS, status=503, times=20)
    with pytest.raises(StorageUnavailable):
        read(storage)


def test_an_object_that_changes_while_it_is_read_is_noticed(fresh_double: StorageDouble, storage: Storage) -> None:
    store(storage, KEY, in_pieces())
    fresh_double.fault("cut", method=GET, path=DOWNLOADS, after_bytes=100_000)
    with (
        storage.open(KEY) as reader,
        pytest.raises(StorageError, match="changed while it was read", check=has_code("digest_mismatch")),
    ):
        for _ in reader.pieces(50_000):
            store(storage, KEY, in_pieces(CONTENT[::-1]))


def test_a_redirect_is_not_taken_for_the_object(fresh_double: StorageDouble, storage: Storage) -> None:
    store(storage, KEY, in_pieces())
    fresh_double.fault("answer", path=DOWNLOADS, status=302, body="x" * 100, headers={"Location": "/login"})
    with pytest.raises(StorageError, match="correct SUPABASE_URL or STORAGE_URL"):
        read(storage)


def test_an_object_that_vanishes_before_a_download_goes_on_is_missing(
    fresh_double: StorageDouble, storage: Storage
) -> None:
    store(storage, KEY, in_pieces())
    fresh_double.fault("cut", method=GET, path=DOWNLOADS, after_bytes=100_000)
    with storage.open(KEY) as reader, pytest.raises(ObjectMissing):
        for _ in reader.pieces(50_000):
            storage.delete(KEY)


@pytest.mark.parametrize("how", ["while the server is silent", "while it waits to try again"])
def test_closing_a_reader_from_another_thread_ends_a_blocked_read_at_once(
    how: str, fresh_double: StorageDouble
) -> None:
    storage = open_supabase(fresh_double, schedule=Schedule((60.0,)))
    store(storage, KEY, in_pieces())
    if how == "while the server is silent":
        fresh_double.fault("stall", method=GET, path=DOWNLOADS, after_bytes=50_000)
    else:
        fresh_double.fault("cut", method=GET, path=DOWNLOADS, after_bytes=50_000)
    with storage.open(KEY) as reader:
        pieces = reader.pieces(50_000)
        next(pieces)
        assert_wakes_when_closed(reader, pieces, 0.2)


def test_every_thread_gives_its_connection_back(fresh_double: StorageDouble, storage: Storage) -> None:
    store(storage, KEY, in_pieces())
    fresh_double.clear_journal()
    failed: list[DataFlowError] = []

    def use() -> None:
        try:
            with storage.open(KEY) as reader:
                next(reader.pieces(10))
            storage.check()
        except StorageError as error:
            failed.append(error)

    for _ in range(40):
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert failed == []
    assert len(storage.api._idle) == 1  # type: ignore[attr-defined]


def test_retries_are_logged_with_offset_and_attempt(
    fresh_double: StorageDouble, storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    fresh_double.fault("answer", method=PATCH, status=544, skip=1, times=2)
    store(storage, KEY, in_pieces())
    facts = [(record.offset, record.attempt) for record in caplog.records if record.message == "storage failed"]  # type: ignore[attr-defined]
    # Between the two refused PATCHes the offset was asked for, and that succeeded without moving it.
    assert facts == [(CHUNK_BYTES, 1), (CHUNK_BYTES, 2)]


def test_long_uploads_say_how_far_they_are(
    storage: Storage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PROGRESS_SECONDS", 0.0)
    with caplog.at_level(logging.INFO, "dataflow.storage"):
        store(storage, KEY, in_pieces())
    facts = [record.bytes for record in caplog.records if record.message == "upload progress"]  # type: ignore[attr-defined]
    assert facts == [CHUNK_BYTES, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES, SIZE_BYTES]


def test_impatience_is_what_the_schedule_says(fresh_double: StorageDouble) -> None:
    waits: list[float] = []
    storage = open_supabase(fresh_double, schedule=Schedule(IMPATIENT.delays, wait=waits.append))
    fresh_double.fault("answer", path=UPLOADS, status=500, times=100)
    with pytest.raises(StorageUnavailable):
        store(storage, KEY, in_pieces())
    assert waits == list(IMPATIENT.delays)


# In steps

IN_CHUNKS = [CONTENT[start : start + CHUNK_BYTES] for start in range(0, SIZE_BYTES, CHUNK_BYTES)]


@pytest.fixture
def hasty(fresh_double: StorageDouble) -> Storage:
    """A storage that tries everything once."""
    return open_supabase(fresh_double, schedule=Schedule(()))


STEP_FAULTS: dict[str, dict[str, Any]] = {
    "reset, its bytes kept": {"deed": "reset", "after_bytes": 30_000},
    "reset, its bytes dropped": {"deed": "reset", "after_bytes": 30_000, "keep": False},
    "the answer lost": {"deed": "lose_answer"},
    "refused": {"deed": "answer", "status": 544},
}


@pytest.mark.parametrize("is_resumed", [False, True], ids=["the same upload", "resumed"])
@pytest.mark.parametrize("step", [1, 3], ids=["append", "finish"])
@pytest.mark.parametrize("fault", STEP_FAULTS)
def test_a_step_that_failed_is_taken_again(
    fault: str, step: int, is_resumed: bool, fresh_double: StorageDouble, hasty: Storage
) -> None:
    fresh_double.fault(method=PATCH, skip=step, **STEP_FAULTS[fault])
    upload, failures = hasty.begin(KEY, Description("text/csv")), 0
    while upload.offset < SIZE_BYTES or failures == 0:
        # A PATCH that is still dying may add to its bytes after the offset was told: then that is asked for again.
        number = upload.offset // CHUNK_BYTES
        rest = CONTENT[upload.offset : min((number + 1) * CHUNK_BYTES, SIZE_BYTES)]
        try:
            if number == 3:
                upload.finish(rest)
            else:
                upload.append(rest)
        except StorageUnavailable:
            failures += 1
            if is_resumed:
                upload = hasty.resume(KEY, upload.address)
    assert failures >= 1
    stored = upload.finish()
    assert isinstance(stored, StoredObject)
    assert stored.size_bytes == SIZE_BYTES
    assert read(hasty) == CONTENT


def test_a_chunk_whose_answer_was_lost_is_not_sent_again(
    fresh_double: StorageDouble, hasty: Storage, asked: Callable[..., list[dict[str, Any]]]
) -> None:
    upload = hasty.begin(KEY, Description("text/csv"))
    fresh_double.fault("lose_answer", method=PATCH)
    with pytest.raises(StorageUnavailable):
        upload.append(IN_CHUNKS[0])
    assert upload.offset == 0, "nobody has said anything else"
    assert upload.append(IN_CHUNKS[0]) == CHUNK_BYTES
    assert len(asked(PATCH)) == 1


def test_a_chunk_of_which_a_part_is_acknowledged_is_sent_to_its_end(
    fresh_double: StorageDouble, storage: Storage, asked: Callable[..., list[dict[str, Any]]]
) -> None:
    upload = storage.begin(KEY, Description("text/csv"))
    fresh_double.fault("reset", method=PATCH, after_bytes=30_000)
    assert upload.append(IN_CHUNKS[0]) == CHUNK_BYTES
    offsets = [int(entry["headers"]["upload-offset"]) for entry in asked(PATCH)]
    assert offsets[0] == 0
    assert 0 < offsets[-1] < CHUNK_BYTES


@pytest.mark.parametrize("fault", UPLOAD_FAULTS)
def test_an_upload_in_steps_survives(fault: str, fresh_double: StorageDouble, storage: Storage) -> None:
    if fault == "acknowledged bytes of the chunk gone":
        fresh_double.fault("reset", method=PATCH, after_bytes=30_000)
    fresh_double.fault(**UPLOAD_FAULTS[fault])
    upload = storage.begin(KEY, Description("text/csv"))
    try:
        for chunk in IN_CHUNKS[:-1]:
            upload.append(chunk)
        upload.finish(IN_CHUNKS[-1])
    except UploadLost:
        assert "forgotten" in fault, "an address that was given out is not replaced by another"
    else:
        assert read(storage) == CONTENT


def test_an_object_whose_upload_the_storage_has_forgotten_is_found_by_its_key(
    fresh_double: StorageDouble, storage: Storage
) -> None:
    upload = storage.begin(KEY, Description("text/csv"))
    stored = upload.finish(CONTENT)
    fresh_double.fault("answer", method=HEAD, status=410, body="The file for this url no longer exists")
    resumed = storage.resume(KEY, upload.address)
    assert (resumed.address, resumed.offset, resumed.finish()) == (upload.address, SIZE_BYTES, stored)


def test_an_upload_with_every_byte_that_is_no_object_yet_is_made_one(tmp_path: Path) -> None:
    with StorageDouble.start(tmp_path, completion_seconds=2.0) as double:
        double.make_bucket("imports")
        storage, failures = open_supabase(double), list[StorageError]()
        upload = open_supabase(double, schedule=Schedule(())).begin(KEY, Description("text/csv"))

        def finish() -> None:
            try:
                upload.finish(CONTENT)
            except StorageError as error:
                failures.append(error)

        finishing = threading.Thread(target=finish)
        finishing.start()
        eventually(lambda: any(entry["received_bytes"] == SIZE_BYTES for entry in double.journal()))
        double.restart()
        finishing.join()
        assert len(failures) == 1
        resumed = storage.resume(KEY, upload.address)
        assert resumed.offset == SIZE_BYTES
        completion = resumed.finish()
        assert not isinstance(completion, StoredObject)
        stored = completion.wait(20.0)
        assert stored is not None
        assert stored.size_bytes == SIZE_BYTES
        assert read(storage) == CONTENT


@pytest.mark.parametrize("declared", [False, True], ids=["finish", "append"])
def test_a_step_that_is_slow_to_complete_the_object_ends_before_it(declared: bool, tmp_path: Path) -> None:
    with StorageDouble.start(tmp_path, completion_seconds=3.0) as double:
        double.make_bucket("imports")
        storage = open_supabase(double, schedule=Schedule(IMPATIENT.delays, chunk_seconds=1.0, last_chunk_seconds=1.0))
        began = time.monotonic()
        upload = storage.begin(KEY, Description("text/csv", size_bytes=SIZE_BYTES if declared else None))
        if declared:
            assert upload.append(CONTENT) == SIZE_BYTES
        completion = upload.finish(b"" if declared else CONTENT)
        assert time.monotonic() - began < 3.0
        assert not isinstance(completion, StoredObject)
        assert completion.wait(0.0) is None
        stored = completion.wait(20.0)
        assert stored is not None
        assert stored.size_bytes == SIZE_BYTES


@pytest.mark.parametrize("step", ["begin", "append", "finish", "resume"])
def test_a_step_is_ended_by_the_stop(step: str, fresh_double: StorageDouble) -> None:
    storage, stop = open_supabase(fresh_double, schedule=Schedule((60.0,))), Stop()
    upload = storage.begin(KEY, Description("text/csv"), stop)
    steps: dict[str, Callable[[], object]] = {
        "begin": lambda: storage.begin(KEY, Description("text/csv"), stop),
        "append": lambda: upload.append(IN_CHUNKS[0]),
        "finish": lambda: upload.finish(IN_CHUNKS[0]),
        "resume": lambda: storage.resume(KEY, upload.address, stop),
    }
    fresh_double.fault("stall", path=UPLOADS, times=9)
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(StorageUnavailable):
        steps[step]()
    assert 0.2 < time.monotonic() - began < 3


def test_a_length_that_the_storage_does_not_take_is_refused_before_the_first_byte(fresh_double: StorageDouble) -> None:
    fresh_double.make_bucket("limited", file_size_limit=100_000)
    storage = open_supabase(fresh_double, bucket="limited")
    with pytest.raises(ObjectTooLarge, match=r"larger than 100000 bytes, the limit of the bucket limited"):
        storage.begin(KEY, Description("text/csv", size_bytes=100_001))
    upload = storage.begin(KEY, Description("text/csv"))
    upload.append(IN_CHUNKS[0])
    with pytest.raises(ObjectTooLarge, match=r"larger than 100000 bytes, the limit of the bucket limited"):
        upload.append(IN_CHUNKS[1])
    assert storage.resume(KEY, upload.address).offset == CHUNK_BYTES
