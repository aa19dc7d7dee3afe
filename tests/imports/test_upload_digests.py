"""Which bytes of an upload in several requests were hashed: entries follow what the storage has."""

import hashlib
import json
from itertools import pairwise

import pytest

from dataflow.imports.upload_digests import MIB, SMALL_ENTRIES, BodyDigests, appended, known_to
from dataflow.queue.resumable_uploads import Digests
from dataflow.storage.chunks import chunks

pytestmark = pytest.mark.unit


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_each_append_has_an_entry() -> None:
    digests = appended(appended([], 2, "a", 2), 3, "b", 5)
    assert digests == [[2, "a"], [5, "b"]]


def test_entries_beyond_the_offset_are_dropped() -> None:
    assert known_to([[2, "a"], [5, "b"]], 2) == [[2, "a"]]
    assert known_to([[2, "a"], [5, "b"]], 0) == []


def test_bytes_that_nobody_hashed_are_null_up_to_where_the_storage_goes_on() -> None:
    assert known_to([[2, "a"], [5, "b"]], 4) == [[2, "a"], [4, None]]
    assert known_to([[2, "a"]], 9) == [[2, "a"], [9, None]]
    assert appended([[2, "a"]], 2, "b", 11) == [[2, "a"], [9, None], [11, "b"]]


def test_two_stretches_without_a_digest_are_one() -> None:
    assert known_to([[2, "a"], [4, None]], 7) == [[2, "a"], [7, None]]


def test_a_byte_a_request_does_not_make_the_row_large() -> None:
    digests: Digests = []
    for offset in range(1, 20_001):
        digests = appended(digests, 1, "x" * 64, offset)
    assert len(digests) == SMALL_ENTRIES
    assert digests[-1] == [20_000, None]
    assert len(json.dumps(digests)) < 10_000


def test_every_chunk_of_a_large_upload_has_its_entry() -> None:
    digests: Digests = []
    for number in range(1, 401):
        digests = appended(digests, MIB, "x" * 64, number * MIB)
    assert len(digests) == 400
    assert all(digest is not None for _, digest in digests)


@pytest.mark.parametrize("entry_bytes", [8, 24])
@pytest.mark.parametrize("piece_bytes", [1, 3, 7, 8, 20, 100])
@pytest.mark.parametrize("size_bytes", [0, 1, 7, 8, 9, 16, 17, 24, 25, 60])
def test_what_is_stored_of_a_body_has_its_digests_however_the_pieces_are_cut(
    size_bytes: int, piece_bytes: int, entry_bytes: int
) -> None:
    content = bytes(range(size_bytes))
    pieces = [content[start : start + piece_bytes] for start in range(0, size_bytes, piece_bytes)]
    body, digests, offset = BodyDigests(8, entry_bytes), Digests(), 0
    for chunk, _ in chunks(body.passing(iter(pieces)), 8):
        offset += len(chunk)
        digests = appended(digests, *body.next(), offset)
        ends = [0, *(end for end, _ in digests)]
        assert ends[-1] == offset
        assert [digest for _, digest in digests] == [sha256(content[a:b]) for a, b in pairwise(ends)]
    assert len(digests) == max(1, -(-size_bytes // entry_bytes))
