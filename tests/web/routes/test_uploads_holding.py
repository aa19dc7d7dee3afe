"""One request at a time holds an upload: two web processes, vanished clients, processes that are killed or stand still.

What each request sends is told by its letter, so that whatever is stored twice, or by somebody who had lost the upload,
is seen in the bytes of the object.
"""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from dataflow import db
from dataflow.storage.base import Storage
from tests.support.objects import read
from tests.support.processes import Web
from tests.support.tus import OpenPatch, Tus, id_of
from tests.support.waiting import eventually

RUNS_OVER = ("local", "supabase")
MIB = 1 << 20
HEADER = b"name,email\n"
#: Less than a chunk; more than what is waited for before a request is begun with.
PART_BYTES = 100_000
PART = HEADER + b"a" * (PART_BYTES - len(HEADER))
#: How soon a holder lets go; and the longest wait for one that does not.
PROMPT_SECONDS, LOCKED_SECONDS = 3.0, 5.0
#: What a request is answered that was taken over; None is a connection that is cut.
LOST = (409, 410, 423, None)


@pytest.fixture(scope="module")
def other_web(database: str, state_folder: Path, storage_variables: dict[str, str]) -> Iterator[Web]:
    web = Web.start({"DATABASE_URL": database, "DATA_DIR": state_folder, **storage_variables})
    yield web
    web.stop()


@pytest.fixture
def other(other_web: Web) -> Tus:
    """Requests to `/uploads` of another web process."""
    return Tus(other_web)


@pytest.fixture
def content_of(storage: Storage, connection: db.Connection) -> Callable[[str], bytes]:
    """The object of an upload that is complete."""

    def read_of(path: str) -> bytes:
        [row] = connection.execute("SELECT object_key FROM jobs WHERE id = %s", [id_of(path)]).fetchall()
        return read(storage, row["object_key"])

    return read_of


@pytest.fixture
def is_held(connection: db.Connection) -> Callable[[str], bool]:
    """Whether a request has taken hold of an upload since it was made."""

    def ask(path: str) -> bool:
        [row] = connection.execute("SELECT attempt, worker FROM jobs WHERE id = %s", [id_of(path)]).fetchall()
        return bool(row["attempt"] and row["worker"])

    return ask


@pytest.fixture
def holding(web: Web, is_held: Callable[[str], bool]) -> Iterator[Callable[..., OpenPatch]]:
    """Begins a PATCH whose body does not go on, at the module's web process or another."""
    with ExitStack() as opened:

        def begin(path: str, offset: int, part: bytes, length: int = MIB, at: Web = web) -> OpenPatch:
            patch = opened.enter_context(OpenPatch(at, path, offset, length))
            patch.send(part)
            eventually(lambda: is_held(path))
            return patch

        yield begin


def rest(letter: bytes, length: int) -> bytes:
    return (letter * (length - 1) + b"\n") if length else b""


@pytest.mark.parametrize("place", ["here", "there"])
def test_head_has_the_holder_let_go_and_then_says_what_is_stored(
    place: str, tus: Tus, other: Tus, holding: Callable[..., OpenPatch], content_of: Callable[[str], bytes]
) -> None:
    path = tus.begin(MIB)
    patch = holding(path, 0, PART)
    began = time.monotonic()
    offset = (tus if place == "here" else other).offset(path)
    assert time.monotonic() - began < PROMPT_SECONDS
    assert patch.outcome() in LOST
    assert 0 <= offset <= PART_BYTES
    content = PART[:offset] + rest(b"b", MIB - offset)
    assert other.patch(path, offset, content[offset:]).status_code == 204
    assert content_of(path) == content


@pytest.mark.parametrize("place", ["here", "there"])
def test_a_patch_takes_the_upload_over_and_the_one_before_it_stores_nothing_more(
    place: str, tus: Tus, other: Tus, holding: Callable[..., OpenPatch], content_of: Callable[[str], bytes]
) -> None:
    path, mine = tus.begin(3 * MIB), tus if place == "here" else other
    tus.patch(path, 0, HEADER)
    patch = holding(path, len(HEADER), b"a" * PART_BYTES, 2 * MIB)
    began = time.monotonic()
    answer = mine.patch(path, len(HEADER), b"b" * PART_BYTES)
    assert time.monotonic() - began < PROMPT_SECONDS
    # The tail of the one before may have been stored when it let go.
    if answer.status_code == 409:
        answer = mine.patch(path, mine.offset(path), b"b" * PART_BYTES)
    assert answer.status_code == 204, answer.text
    offset = int(answer.headers["Upload-Offset"])
    # What the one before sends now is late.
    patch.send(b"a" * PART_BYTES)
    assert patch.outcome() in LOST
    assert mine.offset(path) == offset
    assert mine.patch(path, offset, rest(b"c", 3 * MIB - offset)).status_code == 204
    kept = offset - len(HEADER) - PART_BYTES
    assert kept <= PART_BYTES
    assert content_of(path) == HEADER + b"a" * kept + b"b" * PART_BYTES + rest(b"c", 3 * MIB - offset)


def test_a_deletion_takes_the_upload_over_and_leaves_nothing(
    tus: Tus, other: Tus, holding: Callable[..., OpenPatch], stored_files: Callable[[], list[Path]]
) -> None:
    path = tus.begin(MIB)
    patch = holding(path, 0, PART)
    began = time.monotonic()
    assert other.delete(path).status_code == 204
    assert time.monotonic() - began < PROMPT_SECONDS
    assert patch.outcome() in LOST
    assert [tus.head(path).status_code, tus.patch(path, 0, HEADER).status_code] == [410, 410]
    eventually(lambda: not stored_files())


@pytest.mark.parametrize("count", [PART_BYTES, 7 * MIB])
def test_a_client_that_vanishes_is_evicted_at_once_and_what_it_has_sent_is_kept(
    count: int, tus: Tus, other: Tus, holding: Callable[..., OpenPatch]
) -> None:
    path = tus.begin(8 * MIB)
    patch = holding(path, 0, b"a" * count, 8 * MIB)
    began = time.monotonic()
    patch.vanish()
    answer = other.head(path)
    assert (answer.status_code, time.monotonic() - began < PROMPT_SECONDS) == (200, True)
    eventually(lambda: other.offset(path) > 0)
    offset = other.offset(path)
    assert offset <= count
    assert other.patch(path, offset, b"b").headers["Upload-Offset"] == str(offset + 1)


def test_a_client_that_ends_its_side_has_all_stored_that_it_has_sent(
    tus: Tus, other: Tus, holding: Callable[..., OpenPatch]
) -> None:
    path = tus.begin(MIB)
    patch = holding(path, 0, PART)
    patch.end()
    assert patch.outcome() in (400, None)
    assert other.offset(path) == PART_BYTES


@pytest.mark.parametrize("ask", ["head", "patch"])
def test_the_upload_of_a_killed_process_is_taken_over_without_423(
    ask: str, start_web: Callable[..., Web], other: Tus, holding: Callable[..., OpenPatch]
) -> None:
    victim = start_web()
    path = other.begin(8 * MIB)
    holding(path, 0, b"a" * 7 * MIB, 8 * MIB, at=victim)
    victim.kill_all()
    began = time.monotonic()
    answer = other.head(path) if ask == "head" else other.patch(path, 0, b"b")
    assert time.monotonic() - began < LOCKED_SECONDS
    assert answer.status_code in {"head": (200,), "patch": (204, 409)}[ask]
    offset = other.offset(path)
    assert other.patch(path, offset, b"c").headers["Upload-Offset"] == str(offset + 1)


def test_the_upload_of_a_process_that_stands_still_is_taken_over_and_never_written_by_two(
    start_web: Callable[..., Web], other: Tus, holding: Callable[..., OpenPatch], content_of: Callable[[str], bytes]
) -> None:
    frozen = start_web()
    path = other.begin(MIB)
    patch = holding(path, 0, PART, at=frozen)
    processes = [psutil.Process(frozen.process.pid), *psutil.Process(frozen.process.pid).children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        answer = other.patch(path, 0, HEADER + b"b" * PART_BYTES)
        assert (answer.status_code, time.monotonic() - began < LOCKED_SECONDS) == (204, True)
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
    assert patch.outcome() in LOST
    offset = int(answer.headers["Upload-Offset"])
    assert other.offset(path) == offset
    assert other.patch(path, offset, rest(b"c", MIB - offset)).status_code == 204
    assert content_of(path) == HEADER + b"b" * PART_BYTES + rest(b"c", MIB - offset)


def test_of_many_clients_at_one_offset_whoever_is_told_that_its_bytes_are_stored_has_them_stored(
    tus: Tus, other: Tus, content_of: Callable[[str], bytes]
) -> None:
    path, size = tus.begin(8 * 40_000), 40_000
    letters = [bytes([letter]) for letter in b"stuvwxyz"]

    def write(letter: bytes) -> tuple[int, bytes]:
        mine = (tus, other)[letter[0] % 2]
        for _ in range(100):
            found = mine.head(path)
            if found.status_code == 423:
                continue
            assert found.status_code == 200, (found.status_code, found.headers)
            offset = int(found.headers["Upload-Offset"])
            answer = mine.patch(path, offset, letter * min(size, 8 * size - offset))
            if answer.status_code == 204:
                return offset, letter
            assert answer.status_code in (409, 423), answer.text
        raise AssertionError("never had its turn")

    with ThreadPoolExecutor(len(letters)) as clients:
        stored = dict(clients.map(write, letters))
    while (offset := tus.offset(path)) < 8 * size:
        assert tus.patch(path, offset, b"-" * (8 * size - offset)).status_code == 204
    content = content_of(path)
    assert len(content) == 8 * size
    for start, letter in stored.items():
        length = min(size, 8 * size - start)
        assert content[start : start + length] == letter * length


def test_a_slow_patch_is_not_disturbed_by_those_who_only_look_at_the_row(
    tus: Tus, other: Tus, holding: Callable[..., OpenPatch]
) -> None:
    path = tus.begin(PART_BYTES + 10)
    patch = holding(path, 0, PART, PART_BYTES + 10)
    for _ in range(3):
        assert other.show(path)["state"] == "uploading"
        assert other.service.job(id_of(path))["state"] == "uploading"
        assert other.ask("OPTIONS", path).status_code == 204
    patch.send(b"a" * 10)
    assert patch.outcome() == 204
