"""Bodies of `PATCH /uploads/{id}` as networks bring them: in chunks, too slow, in vain, cut by the service's end."""

import time
from collections.abc import Callable

import pytest

from tests.support.processes import Web
from tests.support.tus import OpenPatch, Tus, checksum, id_of
from tests.support.waiting import eventually

RUNS_OVER = ("local", "supabase")
STALL_SECONDS = 2
WEB_VARIABLES = {"UPLOAD_STALL_SECONDS": STALL_SECONDS}
#: A read that was not complete is not known of.
READ_BYTES = 1024
MIB = 1 << 20
CSV = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\n"
PART = b"a" * 100_000
CHUNKED = {"Content-Length": None, "Transfer-Encoding": "chunked"}


def in_chunks(content: bytes, size: int) -> bytes:
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_body_in_chunks_is_stored(size: int, web: Web, tus: Tus) -> None:
    path = tus.begin(len(CSV))
    with OpenPatch(web, path, 0, headers=CHUNKED) as patch:
        patch.send(in_chunks(CSV, size))
        assert patch.outcome() == 204
    assert tus.offset(path) == len(CSV)


def test_a_body_in_chunks_that_is_longer_than_the_upload_is_refused(web: Web, tus: Tus) -> None:
    path = tus.begin(len(PART))
    with OpenPatch(web, path, 0, headers=CHUNKED) as patch:
        patch.send(in_chunks(PART + b"x", 1000))
        assert patch.outcome() == 413
    assert tus.offset(path) <= len(PART)


def test_a_body_in_chunks_that_ends_within_one_is_kept_as_far_as_it_has_come(web: Web, tus: Tus) -> None:
    path = tus.begin(MIB)
    with OpenPatch(web, path, 0, headers=CHUNKED) as patch:
        patch.send(in_chunks(PART, 1000)[:-20])
        patch.end()
        assert patch.outcome() in (400, None)
    assert len(PART) - 1000 <= tus.offset(path) <= len(PART)


@pytest.mark.parametrize("is_right", [True, False])
def test_a_body_in_chunks_may_have_a_checksum(is_right: bool, web: Web, tus: Tus) -> None:
    path = tus.begin(MIB)
    with OpenPatch(web, path, 0, headers={**CHUNKED, **checksum(PART if is_right else CSV)}) as patch:
        patch.send(in_chunks(PART, 1000))
        assert patch.outcome() == (204 if is_right else 460)
    assert tus.offset(path) == (len(PART) if is_right else 0)


def test_a_body_with_a_checksum_that_is_cut_is_not_stored(web: Web, tus: Tus) -> None:
    path = tus.begin(MIB)
    with OpenPatch(web, path, 0, len(PART) + 1, checksum(PART)) as patch:
        patch.send(PART)
        patch.vanish()
    assert tus.offset(path) == 0


def test_a_body_that_stops_is_cut_and_kept_as_far_as_it_has_come(web: Web, tus: Tus) -> None:
    path = tus.begin(8 * MIB)
    with OpenPatch(web, path, 0, 8 * MIB) as patch:
        patch.send(PART)
        began = time.monotonic()
        assert patch.outcome() == 408
        assert STALL_SECONDS - 1 < time.monotonic() - began < STALL_SECONDS + 5
    assert len(PART) - READ_BYTES <= tus.offset(path) <= len(PART)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Upload-Offset": "1"}, 409), ({"Content-Type": "text/csv"}, 415), ({"Tus-Resumable": "0.2.2"}, 412)],
)
def test_who_sends_a_large_body_in_vain_sees_why(headers: dict[str, str], status: int, tus: Tus) -> None:
    path = tus.begin(20 * MIB)
    answer = tus.patch(path, 0, b"x" * 20 * MIB, headers)
    assert answer.status_code == status
    assert tus.offset(path) == 0


def test_a_large_body_that_is_longer_than_the_upload_is_refused_before_it_is_stored(tus: Tus) -> None:
    path = tus.begin(1000)
    assert tus.patch(path, 0, b"x" * 20 * MIB).status_code == 413
    assert tus.offset(path) == 0


def test_a_process_that_ends_leaves_an_upload_that_can_be_gone_on_with(start_web: Callable[..., Web], tus: Tus) -> None:
    ending = start_web(SHUTDOWN_GRACE_SECONDS=1)
    path = tus.begin(8 * MIB)
    with OpenPatch(ending, path, 0, 8 * MIB) as patch:
        patch.send(b"a" * 7 * MIB)
        eventually(lambda: tus.service.job(id_of(path))["attempt"] > 0)
        ending.terminate()
        assert patch.outcome() in (503, None)
    offset = tus.offset(path)
    assert 6 * MIB <= offset <= 7 * MIB
    assert tus.patch(path, offset, b"b" * (8 * MIB - offset)).status_code == 204
