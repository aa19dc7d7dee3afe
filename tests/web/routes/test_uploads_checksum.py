"""`/uploads`: the extension checksum of tus 1.0.0, a test for each MUST, and what else a checksum is refused for."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tus import Tus, checksum

RUNS_OVER = ("local", "supabase")
THROUGH_FLASK = True
CSV = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\n"
CHUNK_BYTES = 6 << 20
SHA1 = base64.b64encode(hashlib.sha1(CSV).digest()).decode()


@pytest.fixture
def stored_bytes(stored_files: Callable[[], list[Path]]) -> Callable[[], bytes]:
    """All content that the storage has."""
    return lambda: b"".join(path.read_bytes() for path in sorted(stored_files()))


@pytest.mark.one_storage
def test_options_must_list_the_algorithms_and_sha1_among_them(tus: Tus) -> None:
    answer = tus.ask("OPTIONS", "/uploads")
    assert answer.headers["Tus-Checksum-Algorithm"].split(",") == ["sha1", "sha256"]
    assert "checksum" in answer.headers["Tus-Extension"].split(",")


@pytest.mark.one_storage
def test_the_names_of_the_algorithms_must_be_ascii_without_upper_case(tus: Tus) -> None:
    names = tus.ask("OPTIONS", "/uploads").headers["Tus-Checksum-Algorithm"]
    assert names.isascii() and names == names.lower()


@pytest.mark.one_storage
def test_checksums_behind_the_body_must_not_be_announced_as_they_are_not_read(tus: Tus) -> None:
    assert "checksum-trailer" not in tus.ask("OPTIONS", "/uploads").headers["Tus-Extension"].split(",")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_body_must_be_verified_and_is_stored_where_it_matches(algorithm: str, tus: Tus) -> None:
    path = tus.begin(len(CSV))
    first = tus.patch(path, 0, CSV[:20], checksum(CSV[:20], algorithm))
    last = tus.patch(path, 20, CSV[20:], checksum(CSV[20:], algorithm))
    assert [(each.status_code, each.headers["Upload-Offset"]) for each in (first, last)] == [
        (204, "20"),
        (204, str(len(CSV))),
    ]


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_body_that_does_not_match_must_be_discarded_and_the_offset_not_be_updated(
    algorithm: str, tus: Tus, stored_bytes: Callable[[], bytes]
) -> None:
    path = tus.begin(len(CSV))
    tus.patch(path, 0, CSV[:20])
    answer = tus.patch(path, 20, CSV[20:-1] + b"X", checksum(CSV[20:], algorithm))
    assert (answer.status_code, answer.json()["status"]) == (460, 460)
    assert tus.offset(path) == 20
    assert stored_bytes() == CSV[:20]
    assert tus.patch(path, 20, CSV[20:], checksum(CSV[20:], algorithm)).status_code == 204


REFUSED = [
    *(f"md5 {SHA1}", f"SHA1 {SHA1}", f"Sha256 {SHA1}", f"sha512 {SHA1}", f"crc32 {SHA1}", f"shake_128 {SHA1}"),
    *("sha1", "sha1 ", f"sha1{SHA1}", SHA1, "", f"sha1 {SHA1} {SHA1}"),
    *("sha1 not-base64", f"sha1 {SHA1[:-1]}", f"sha1 {SHA1[:8]}", f"sha256 {SHA1}", "sha1 ====", f"sha1,{SHA1}"),
    f"sha1 {hashlib.sha1(CSV).hexdigest()}",
]


@pytest.mark.one_storage
def test_an_unknown_algorithm_or_another_form_must_be_refused_and_the_body_be_discarded(
    tus: Tus, stored_bytes: Callable[[], bytes]
) -> None:
    path = tus.begin(len(CSV))
    for value in REFUSED:
        answer = tus.patch(path, 0, CSV, {"Upload-Checksum": value})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), value
    assert (tus.offset(path), stored_bytes()) == (0, b"")


def test_a_checksum_may_stand_for_a_whole_chunk_and_no_more(tus: Tus, stored_bytes: Callable[[], bytes]) -> None:
    content = CSV + b"\n" * CHUNK_BYTES
    path = tus.begin(len(content))
    answer = tus.patch(path, 0, content[: CHUNK_BYTES + 1], checksum(content[: CHUNK_BYTES + 1]))
    assert (answer.status_code, str(CHUNK_BYTES) in answer.json()["error"]) == (413, True)
    assert (tus.offset(path), stored_bytes()) == (0, b"")
    answer = tus.patch(path, 0, content[:CHUNK_BYTES], checksum(content[:CHUNK_BYTES]))
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(CHUNK_BYTES))


def test_the_checksum_of_a_creation_with_upload_must_be_verified_as_well(
    tus: Tus, stored_bytes: Callable[[], bytes]
) -> None:
    right = tus.create(len(CSV), CSV, checksum(CSV))
    assert (right.status_code, right.headers["Upload-Offset"]) == (201, str(len(CSV)))
    wrong = tus.create(len(CSV), CSV[:-1] + b"X", checksum(CSV))
    assert wrong.status_code == 460
    assert stored_bytes() == CSV


def test_the_checksum_of_an_empty_body_is_verified_as_any_other(tus: Tus) -> None:
    path = tus.begin(len(CSV))
    assert tus.patch(path, 0, b"", checksum(b"")).status_code == 204
    assert tus.patch(path, 0, b"", checksum(b"x")).status_code == 460


def test_what_is_too_long_for_the_upload_is_refused_before_its_checksum_is_looked_at(tus: Tus) -> None:
    path = tus.begin(20)
    assert tus.patch(path, 0, CSV, checksum(CSV)).status_code == 413
    assert tus.offset(path) == 0
