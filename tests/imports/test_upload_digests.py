"""Which bytes of an upload in several requests were hashed: entries follow what the storage has."""

import hashlib
import json

import pytest

from dataflow.imports.upload_digests import MIB, SMALL_ENTRIES, appended, known_to
from dataflow.queue.resumable_uploads import Digests

pytestmark = pytest.mark.unit


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_each_append_has_an_entry() -> None:
    digests = appended(appended([], b"ab", 2), b"cde", 5)
    assert digests == [[2, sha256(b"ab")], [5, sha256(b"cde")]]


def test_entries_beyond_the_offset_are_dropped() -> None:
    assert known_to([[2, "a"], [5, "b"]], 2) == [[2, "a"]]
    assert known_to([[2, "a"], [5, "b"]], 0) == []


def test_bytes_that_nobody_hashed_are_null_up_to_where_the_storage_goes_on() -> None:
    assert known_to([[2, "a"], [5, "b"]], 4) == [[2, "a"], [4, None]]
    assert known_to([[2, "a"]], 9) == [[2, "a"], [9, None]]
    assert appended([[2, "a"]], b"xy", 11) == [[2, "a"], [9, None], [11, sha256(b"xy")]]


def test_two_stretches_without_a_digest_are_one() -> None:
    assert known_to([[2, "a"], [4, None]], 7) == [[2, "a"], [7, None]]


def test_a_byte_a_request_does_not_make_the_row_large() -> None:
    digests: Digests = []
    for offset in range(1, 20_001):
        digests = appended(digests, b"x", offset)
    assert len(digests) == SMALL_ENTRIES
    assert digests[-1] == [20_000, None]
    assert len(json.dumps(digests)) < 10_000


def test_every_chunk_of_a_large_upload_has_its_entry() -> None:
    digests: Digests = []
    chunk = bytes(MIB)
    for number in range(1, 401):
        digests = appended(digests, chunk, number * MIB)
    assert len(digests) == 400
    assert all(digest is not None for _, digest in digests)
