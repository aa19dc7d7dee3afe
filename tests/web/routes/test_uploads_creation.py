"""`/uploads`: creation, creation-with-upload and creation-defer-length of tus 1.0.0, a test for each MUST."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from dataflow import db
from tests.support.tus import Tus, id_of

RUNS_OVER = ("local", "supabase")
THROUGH_FLASK = True
CSV = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\n"
ROWS = [("Ann", "ann@example.com", "crm"), ("Bob", "bob@example.com", "crm")]

StoredContacts = Callable[[], list[tuple[Any, ...]]]


@pytest.fixture
def jobs(connection: db.Connection) -> Callable[[], int]:
    return lambda: len(connection.execute("SELECT FROM jobs").fetchall())


# creation


def test_creation_must_be_acknowledged_with_201_and_the_location_of_the_upload(tus: Tus) -> None:
    answer = tus.create(len(CSV))
    assert answer.status_code == 201
    assert tus.offset(answer.headers["Location"]) == 0
    job_id = id_of(answer.headers["Location"])
    assert answer.headers["Location"] == f"/uploads/{job_id}"
    assert answer.headers["Link"] == f'</jobs/{job_id}>; rel="related"'
    job = tus.service.job(job_id)
    assert (job["state"], job["source"]) == ("uploading", "crm")


def test_the_location_keeps_the_prefix_that_the_caller_uses(tus: Tus) -> None:
    prefixed = Tus(tus.service, "/v1")
    answer = prefixed.create(len(CSV), CSV)
    job_id = id_of(answer.headers["Location"])
    assert answer.headers["Location"] == f"/v1/uploads/{job_id}"
    assert answer.headers["Link"] == f'</v1/jobs/{job_id}>; rel="related"'
    assert prefixed.offset(f"/v1/uploads/{job_id}") == tus.offset(f"/uploads/{job_id}") == len(CSV)


@pytest.mark.one_storage
def test_a_creation_must_have_either_a_length_or_a_deferral_of_1(tus: Tus, jobs: Callable[[], int]) -> None:
    wrong: list[dict[str, str | None]] = [{"Upload-Length": None}, {"Upload-Defer-Length": "1"}]
    wrong += [{"Upload-Length": None, "Upload-Defer-Length": value} for value in ("0", "2", "true", "")]
    for lengths in (*wrong, {"Upload-Defer-Length": "0"}):
        answer = tus.create(len(CSV), headers=lengths)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), lengths
    assert jobs() == 0


WRONG_METADATA = {
    "no base64": "source crm!",
    "base64 without its end": "source Y3Jt,filename YQ",
    "base64 for URLs": "source Y3Jt,filename _-8=",
    "no UTF-8": f"source {base64.b64encode(b'caf' + bytes([233])).decode()}",
    "nothing between commas": "source Y3Jt,,filename YQ==",
    "a comma at the end": "source Y3Jt,",
    "three words": "source Y3Jt Y3Jt",
    "a key twice": "source Y3Jt,source Y3Jt",
    "another key twice": "source Y3Jt,note YQ==,note",
}


@pytest.mark.one_storage
def test_metadata_must_be_unique_keys_with_values_in_base64(tus: Tus, jobs: Callable[[], int]) -> None:
    for wrong, metadata in WRONG_METADATA.items():
        answer = tus.create(len(CSV), headers={"Upload-Metadata": metadata})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), wrong
    assert jobs() == 0


@pytest.mark.one_storage
def test_the_value_of_a_key_may_be_empty_without_a_space(tus: Tus) -> None:
    for empty in ("note", "note ", "is_confidential,note"):
        assert tus.create(len(CSV), headers={"Upload-Metadata": f"source Y3Jt,{empty}"}).status_code == 201, empty


def test_head_must_include_the_metadata_as_the_client_has_specified_it(tus: Tus) -> None:
    sent = "note,source Y3Jt,filename SsO8cmdlbi5jc3Y=,X-Other aGFja2VkDQpYOiB5"
    path = tus.begin(len(CSV), headers={"Upload-Metadata": sent})
    assert tus.head(path).headers["Upload-Metadata"] == sent
    tus.patch(path, 0, CSV)
    assert tus.head(path).headers["Upload-Metadata"] == sent


def test_without_metadata_there_is_none_in_the_answer_to_head(tus: Tus) -> None:
    path = tus.begin(len(CSV), headers={"Upload-Metadata": None, "X-Source": "crm"})
    assert "Upload-Metadata" not in tus.head(path).headers


# creation-with-upload


def test_a_creation_with_upload_must_answer_the_offset_of_what_it_has_accepted(tus: Tus) -> None:
    answer = tus.create(len(CSV), CSV[:20])
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "20")
    path = answer.headers["Location"]
    assert tus.offset(path) == 20
    assert tus.patch(path, 20, CSV[20:]).headers["Upload-Offset"] == str(len(CSV))
    assert tus.service.job(id_of(path))["state"] == "queued"


def test_the_whole_of_an_upload_may_come_with_its_creation(
    tus: Tus, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    answer = tus.create(len(CSV), CSV)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, str(len(CSV)))
    assert work_off() == 0
    assert stored_contacts() == ROWS


def test_a_creation_without_a_body_may_have_the_media_type_of_one(tus: Tus) -> None:
    answer = tus.create(len(CSV), b"")
    assert answer.status_code == 201, answer.text
    assert tus.offset(answer.headers["Location"]) == 0


def test_a_body_of_another_media_type_is_no_part_of_the_upload(tus: Tus) -> None:
    answer = tus.create(len(CSV), CSV, headers={"Content-Type": "text/csv"})
    if answer.status_code == 201:
        assert (answer.headers.get("Upload-Offset", "0"), tus.offset(answer.headers["Location"])) == ("0", 0)
    else:
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_more_than_its_length_with_the_creation_is_refused_and_nothing_left(
    tus: Tus, jobs: Callable[[], int], stored_files: Callable[[], list[Any]]
) -> None:
    answer = tus.create(20, CSV)
    assert answer.status_code == 413, answer.text
    assert not any(file.stat().st_size for file in stored_files())


# creation-defer-length


def test_head_must_say_that_the_length_is_deferred_as_long_as_it_is_not_known(tus: Tus) -> None:
    path = tus.begin()
    assert tus.head(path).headers["Upload-Defer-Length"] == "1"
    tus.patch(path, 0, CSV[:20])
    assert tus.head(path).headers["Upload-Defer-Length"] == "1"
    tus.patch(path, 20, CSV[20:30], {"Upload-Length": str(len(CSV))})
    assert tus.head(path).headers["Upload-Length"] == str(len(CSV))


def test_the_deferral_must_be_left_out_where_the_length_is_known(tus: Tus) -> None:
    path = tus.begin()
    tus.patch(path, 0, CSV, {"Upload-Length": str(len(CSV))})
    for known in (path, tus.begin(len(CSV))):
        assert "Upload-Defer-Length" not in tus.head(known).headers


@pytest.mark.parametrize("length", [len(CSV) - 1, len(CSV) + 1, 10**12])
def test_a_length_that_is_set_must_not_be_changed(length: int, tus: Tus) -> None:
    declared = tus.begin()
    tus.patch(declared, 0, CSV[:20], {"Upload-Length": str(len(CSV))})
    for path in (declared, tus.begin(len(CSV), CSV[:20])):
        answer = tus.patch(path, 20, CSV[20:], {"Upload-Length": str(length)})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        found = tus.head(path).headers
        assert (found["Upload-Offset"], found["Upload-Length"]) == ("20", str(len(CSV)))


def test_the_same_length_again_is_no_change(tus: Tus) -> None:
    """tus-js-client sends it with each attempt at its last PATCH."""
    path = tus.begin()
    tus.patch(path, 0, CSV[:20], {"Upload-Length": str(len(CSV))})
    answer = tus.patch(path, 20, CSV[20:], {"Upload-Length": str(len(CSV))})
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(len(CSV)))


@pytest.mark.parametrize("length", ["19", "0", "-1", "x", ""])
def test_a_length_below_the_offset_or_of_a_wrong_form_is_refused(length: str, tus: Tus) -> None:
    path = tus.begin()
    tus.patch(path, 0, CSV[:20])
    assert tus.patch(path, 20, b"", {"Upload-Length": length}).status_code == 400
    assert tus.head(path).headers["Upload-Defer-Length"] == "1"


@pytest.mark.parametrize("rest", [CSV[20:], b""])
def test_a_deferred_length_completes_the_upload_with_its_last_bytes_or_behind_them(
    rest: bytes, tus: Tus, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    path = tus.begin()
    tus.patch(path, 0, CSV[:20])
    if not rest:
        tus.patch(path, 20, CSV[20:])
    answer = tus.patch(path, len(CSV) - len(rest), rest, {"Upload-Length": str(len(CSV))})
    assert (answer.status_code, answer.headers["Link"]) == (204, f'</jobs/{id_of(path)}>; rel="related"')
    assert work_off() == 0
    assert stored_contacts() == ROWS


@pytest.mark.parametrize("length", [0, None])
def test_an_upload_may_have_no_bytes_at_all(length: int | None, tus: Tus, work_off: Callable[[], int]) -> None:
    path = tus.begin(length)
    if length is None:
        assert tus.patch(path, 0, b"", {"Upload-Length": "0"}).status_code == 204
    found = tus.head(path)
    assert (found.headers["Upload-Offset"], found.headers["Upload-Length"]) == ("0", "0")
    assert work_off() == 1
    job = tus.service.job(id_of(path))
    assert (job["state"], job["error"].partition(":")[0]) == ("failed", "no_contacts")


def test_creation_must_be_refused_with_413_where_the_length_exceeds_the_maximum(
    limited_tus: Tus, jobs: Callable[[], int]
) -> None:
    answer = limited_tus.create(1001)
    assert answer.status_code == 413
    assert "MAX_UPLOAD_BYTES" in answer.json()["error"]
    assert jobs() == 0
    assert limited_tus.create(1000).status_code == 201


def test_a_deferred_length_must_not_exceed_the_maximum_either(limited_tus: Tus) -> None:
    path = limited_tus.begin()
    assert limited_tus.patch(path, 0, CSV, {"Upload-Length": "1001"}).status_code == 413
    assert limited_tus.patch(path, limited_tus.offset(path), b"x" * 1001).status_code == 413
    assert limited_tus.offset(path) <= 1000


@pytest.mark.one_storage
def test_metadata_that_no_import_knows_is_ignored(tus: Tus) -> None:
    assert tus.create(len(CSV), note="ignored", relativePath="a/b.csv").status_code == 201
