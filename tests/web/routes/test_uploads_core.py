"""`/uploads` by the core protocol of tus 1.0.0: a test for each MUST of the server."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from dataflow import db
from tests.support.tus import CHUNK_TYPE, Tus, id_of

RUNS_OVER = ("local", "supabase")
THROUGH_FLASK = True
CSV = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\n"
EXTENSIONS = {"creation", "creation-with-upload", "creation-defer-length", "termination", "expiration", "checksum"}
NO_NUMBERS = ("-1", "+1", "1.0", "0x1", "1_0", "", "ten", "1 0", "1,1", b"\xef\xbc\x91")


def state_of(connection: db.Connection) -> list[Any]:
    """All that a request may have changed."""
    columns = "id::text, state, attempt, bytes_done, upload_length, expires_at, digests"
    return connection.execute(f"SELECT {columns} FROM jobs ORDER BY id".encode()).fetchall()


@pytest.mark.one_storage
def test_upload_offset_must_be_there_and_a_non_negative_integer(tus: Tus) -> None:
    path = tus.begin(len(CSV))
    for value in (None, *NO_NUMBERS):
        answer = tus.patch(path, 0, CSV, {"Upload-Offset": value})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), value
    assert tus.offset(path) == 0


@pytest.mark.one_storage
def test_upload_length_must_be_a_non_negative_integer(tus: Tus, connection: db.Connection) -> None:
    for value in NO_NUMBERS:
        answer = tus.create(0, headers={"Upload-Length": value})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), value
    assert state_of(connection) == []


@pytest.mark.one_storage
def test_numbers_that_are_too_large_for_anything_are_refused(tus: Tus) -> None:
    path = tus.begin(len(CSV))
    for digits in (19, 30, 5000):
        assert tus.patch(path, 0, CSV, {"Upload-Offset": "9" * digits}).status_code in (400, 409), digits
        assert tus.create(0, headers={"Upload-Length": "9" * digits}).status_code in (400, 413), digits
    assert tus.offset(path) == 0


@pytest.mark.one_storage
def test_tus_version_must_list_the_versions_that_the_server_supports(tus: Tus) -> None:
    assert tus.ask("OPTIONS", "/uploads").headers["Tus-Version"] == "1.0.0"


def test_tus_resumable_must_be_in_every_response(tus: Tus) -> None:
    path, complete = tus.begin(len(CSV)), tus.send(CSV)
    answers = {
        200: [tus.head(path), tus.service.get(path)],
        201: [tus.create(5), tus.create(len(CSV), CSV)],
        204: [tus.ask("OPTIONS", "/uploads"), tus.ask("OPTIONS", path), tus.patch(path, 0, CSV[:5])],
        400: [tus.patch(path, 5, b"x", {"Upload-Offset": "x"}), tus.create(source="")],
        404: [tus.head(f"/uploads/{uuid4()}"), tus.head("/uploads/x"), tus.service.get(f"/uploads/{uuid4()}")],
        405: [tus.ask("PUT", path), tus.ask("PATCH", "/uploads")],
        409: [tus.patch(path, 4, b"x"), tus.delete(complete)],
        412: [tus.head(path, {"Tus-Resumable": "0.2.2"})],
        413: [tus.patch(path, 5, CSV)],
        415: [tus.patch(path, 5, CSV, {"Content-Type": "text/csv"})],
    }
    for status, given in answers.items():
        assert [answer.status_code for answer in given] == [status] * len(given)
        assert {answer.headers.get("Tus-Resumable") for answer in given} == {"1.0.0"}
    assert tus.delete(path).headers["Tus-Resumable"] == tus.head(path).headers["Tus-Resumable"] == "1.0.0"


OTHER_VERSIONS = (None, "", "0.2.2", "1.0", "1.0.1", "2.0.0", "1.0.0,2.0.0", "1.0.0 ok")


@pytest.mark.one_storage
def test_a_version_that_is_not_supported_must_be_answered_412_with_tus_version(tus: Tus) -> None:
    path, absent = tus.begin(len(CSV)), f"/uploads/{uuid4()}"
    for version in OTHER_VERSIONS:
        other = {"Tus-Resumable": version}
        answers = [tus.create(5, headers=other), tus.head(path, other), tus.head(absent, other)]
        answers += [tus.patch(path, 0, CSV, other), tus.delete(path, other)]
        answers.append(tus.patch(path, 9, CSV, {**other, "Content-Type": "text/csv"}))
        found = {(answer.status_code, answer.headers.get("Tus-Version")) for answer in answers}
        assert found == {(412, "1.0.0")}, version


def test_a_request_of_a_version_that_is_not_supported_must_not_be_processed(
    tus: Tus, connection: db.Connection
) -> None:
    path = tus.begin(len(CSV), CSV[:7])
    before = state_of(connection)
    for version in OTHER_VERSIONS:
        other = {"Tus-Resumable": version}
        tus.create(5, headers=other)
        tus.create(5, b"name,", headers=other)
        tus.patch(path, 7, CSV[7:], other)
        tus.head(path, other)
        tus.delete(path, other)
    assert state_of(connection) == before
    assert tus.offset(path) == 7


@pytest.mark.one_storage
def test_tus_extension_must_list_the_extensions(tus: Tus) -> None:
    listed = tus.ask("OPTIONS", "/uploads").headers["Tus-Extension"].split(",")
    assert (set(listed), len(listed)) == (EXTENSIONS, len(EXTENSIONS))


@pytest.mark.one_storage
def test_tus_max_size_must_be_a_non_negative_integer_and_is_left_out_without_a_limit(
    tus: Tus, limited_tus: Tus
) -> None:
    assert "Tus-Max-Size" not in tus.ask("OPTIONS", "/uploads").headers
    assert limited_tus.ask("OPTIONS", "/uploads").headers["Tus-Max-Size"] == "1000"


def test_x_http_method_override_must_be_interpreted_as_the_method_and_the_actual_one_be_ignored(tus: Tus) -> None:
    path = tus.begin(len(CSV))
    place = {"Upload-Offset": "0", "Content-Type": CHUNK_TYPE}
    patched = tus.ask("POST", path, {**place, "X-HTTP-Method-Override": "PATCH"}, CSV[:20])
    assert (patched.status_code, patched.headers["Upload-Offset"]) == (204, "20")
    found = tus.ask("POST", path, {"X-HTTP-Method-Override": "HEAD"})
    assert (found.status_code, found.headers["Upload-Offset"]) == (200, "20")
    assert tus.ask("POST", path, {"X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert tus.head(path).status_code == 410


def test_a_method_override_does_nothing_elsewhere(tus: Tus) -> None:
    override = {"X-HTTP-Method-Override": "DELETE"}
    path = tus.send(CSV)
    tus.ask("POST", f"/jobs/{id_of(path)}", override)
    assert tus.service.job(id_of(path))["state"] == "queued"
    assert tus.service.get("/health", headers=override).status_code == 200


def test_head_must_include_upload_offset_even_if_it_is_0_or_the_upload_is_complete(tus: Tus) -> None:
    path = tus.begin(len(CSV))
    assert tus.head(path).headers["Upload-Offset"] == "0"
    tus.patch(path, 0, CSV[:30])
    assert tus.head(path).headers["Upload-Offset"] == "30"
    tus.patch(path, 30, CSV[30:])
    assert tus.head(path).headers["Upload-Offset"] == str(len(CSV))


def test_head_must_include_upload_length_if_it_is_known(tus: Tus) -> None:
    path = tus.begin(len(CSV))
    assert tus.head(path).headers["Upload-Length"] == str(len(CSV))
    assert tus.head(tus.send(CSV)).headers["Upload-Length"] == str(len(CSV))
    assert "Upload-Length" not in tus.head(tus.begin()).headers


def test_head_must_prevent_caching(tus: Tus) -> None:
    assert tus.head(tus.begin(len(CSV))).headers["Cache-Control"] == "no-store"
    assert tus.head(tus.send(CSV)).headers["Cache-Control"] == "no-store"


@pytest.mark.one_storage
def test_what_is_not_found_has_no_offset(tus: Tus) -> None:
    for name in (str(uuid4()), "x", str(UUID(int=0)), "a%2fb", "%00", "..%2fjobs"):
        path = f"/uploads/{name}"
        answers = [tus.head(path), tus.patch(path, 0, CSV), tus.delete(path)]
        found = {(answer.status_code, answer.headers.get("Upload-Offset")) for answer in answers}
        assert found == {(404, None)}, name


def test_a_job_that_is_no_upload_of_tus_is_not_found(tus: Tus) -> None:
    made = tus.service.post(data=CSV, headers={"Content-Type": "text/csv", "X-Source": "crm"})
    path = f"/uploads/{made.json()['jobId']}"
    answers = [tus.head(path), tus.patch(path, 0, CSV), tus.delete(path), tus.service.get(path)]
    assert [answer.status_code for answer in answers] == [404] * 4


@pytest.mark.one_storage
def test_every_patch_must_use_the_media_type_of_the_protocol(tus: Tus) -> None:
    path = tus.begin(len(CSV))
    for media_type in (None, "", "text/csv", "application/octet-stream", "multipart/form-data"):
        answer = tus.patch(path, 0, CSV, {"Content-Type": media_type})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), media_type
    assert tus.offset(path) == 0


def test_offsets_that_do_not_match_must_be_answered_409_without_modifying_the_upload(
    tus: Tus, stored_files: Any
) -> None:
    path = tus.begin(len(CSV))
    tus.patch(path, 0, CSV[:20])
    sizes = sorted(file.stat().st_size for file in stored_files())
    for offset in (0, 19, 21, len(CSV), 10**12):
        assert tus.patch(path, offset, CSV[20:]).status_code == 409, offset
    assert tus.offset(path) == 20
    assert sorted(file.stat().st_size for file in stored_files()) == sizes


def test_a_successful_patch_must_be_acknowledged_with_204(tus: Tus) -> None:
    path = tus.begin(len(CSV))
    answers = [tus.patch(path, 0, CSV[:20]), tus.patch(path, 20, CSV[20:])]
    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 2


def test_the_new_offset_must_be_the_sum_of_the_old_one_and_what_was_received(tus: Tus) -> None:
    path, offset = tus.begin(len(CSV)), 0
    for size in (1, 0, 2, 30, len(CSV) - 33):
        answer = tus.patch(path, offset, CSV[offset : offset + size])
        offset += size
        assert int(answer.headers["Upload-Offset"]) == tus.offset(path) == offset


@pytest.mark.one_storage
def test_options_must_contain_tus_version(tus: Tus) -> None:
    for path in ("/uploads", "/v1/uploads", tus.begin(5)):
        answer = tus.ask("OPTIONS", path)
        assert (answer.status_code, answer.headers["Tus-Version"], answer.content) == (204, "1.0.0", b"")


@pytest.mark.one_storage
def test_options_must_ignore_tus_resumable(tus: Tus) -> None:
    for version in OTHER_VERSIONS:
        answer = tus.ask("OPTIONS", "/uploads", {"Tus-Resumable": version})
        assert (answer.status_code, answer.headers["Tus-Version"]) == (204, "1.0.0"), version
