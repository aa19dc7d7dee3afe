"""`/uploads` as a way into an import: what metadata, query and headers say of it, and what becomes of the bytes."""

import gzip
import hashlib
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from dataflow import db
from dataflow.storage.base import Storage
from tests.support.tus import Tus, id_of

RUNS_OVER = ("local", "supabase")
THROUGH_FLASK = True
CSV = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\n"
CONTACTS = [{"name": "Ann", "email": "ann@example.com"}, {"name": "Bob", "email": "bob@example.com"}]
ROWS = [("Ann", "ann@example.com", "crm"), ("Bob", "bob@example.com", "crm")]
JSON = "application/json"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)) * 4

StoredContacts = Callable[[], list[tuple[Any, ...]]]


def test_the_metadata_names_the_file_its_type_and_the_options(
    tus: Tus, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    mapping = json.dumps({"name": "Wer", "email": "Adresse"})
    content = "Wer;Adresse\nJosé;jose@example.com\nohne;adresse\n".encode("cp1252")
    options = {"encoding": "cp1252", "delimiter": ";", "onConflict": "skip", "maxRejects": "7", "mapping": mapping}
    path = tus.send(content, 9, filename="C:\\Büro\\Kontakte.csv", filetype="Text/CSV", source="Büro 😀", **options)
    job = tus.service.job(id_of(path))
    assert (job["source"], job["fileName"], job["contentType"], job["state"]) == (
        *("Büro 😀", "Kontakte.csv", "text/csv"),
        "queued",
    )
    assert job["options"]["mapping"] == {"name": ["Wer"], "email": ["Adresse"]}
    assert (job["options"]["onConflict"], job["options"]["maxRejects"]) == ("skip", 7)
    assert work_off() == 0
    assert stored_contacts() == [("José", "jose@example.com", "Büro 😀")]


@pytest.mark.one_storage
@pytest.mark.parametrize(
    ("fields", "query", "headers", "winner"),
    [
        ({"source": "metadata"}, "", {}, "metadata"),
        ({"source": "metadata"}, "", {"X-Source": "header"}, "header"),
        ({"source": "metadata"}, "?source=query", {"X-Source": "header"}, "query"),
        ({"source": ""}, "?source=query", {}, "query"),
        ({"source": ""}, "", {"X-Source": "Büro".encode()}, "Büro"),
    ],
)
def test_the_query_wins_over_headers_over_metadata(
    fields: dict[str, str], query: str, headers: dict[str, Any], winner: str, tus: Tus
) -> None:
    answer = tus.create(len(CSV), CSV, headers, query, **fields)
    assert answer.status_code == 201, answer.text
    assert tus.service.job(id_of(answer.headers["Location"]))["source"] == winner


@pytest.mark.one_storage
def test_a_source_is_required(tus: Tus, connection: db.Connection) -> None:
    answer = tus.create(len(CSV), source="")
    assert (answer.status_code, answer.json()["issues"]) == (400, [{"path": ["source"], "message": "Required"}])
    assert connection.execute("SELECT FROM jobs").fetchall() == []


@pytest.mark.one_storage
@pytest.mark.parametrize("name", ["on-conflict", "on_conflict", "OnConflict", "ONCONFLICT", "Source"])
def test_an_option_in_another_spelling_is_refused_rather_than_ignored(name: str, tus: Tus) -> None:
    answer = tus.create(len(CSV), **{name: "skip"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert name in answer.json()["error"]


@pytest.mark.one_storage
@pytest.mark.parametrize(
    ("name", "value"),
    [("onConflict", "replace"), ("maxRejects", "-1"), ("dryRun", "yes"), ("source", "x" * 101), ("mapping", "{")],
)
def test_a_wrong_value_of_an_option_is_refused_at_once(name: str, value: str, tus: Tus) -> None:
    answer = tus.create(len(CSV), **{name: value})
    assert (answer.status_code, [issue["path"] for issue in answer.json()["issues"]]) == (400, [[name]])


@pytest.mark.one_storage
@pytest.mark.parametrize("query", ["?onConflict=replace", "?unknown=1", "?source=a&source=b"])
def test_a_wrong_query_is_refused_at_once(query: str, tus: Tus) -> None:
    assert tus.create(len(CSV), query=query).status_code == 400


@pytest.mark.parametrize("sizes", [(1,) * 25, (10, 16), (11, 1, 1)], ids=str)
def test_pieces_of_any_size_become_the_contacts(
    sizes: tuple[int, ...], tus: Tus, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    path = tus.send(CSV, *sizes)
    job = tus.service.job(id_of(path))
    assert (job["state"], job["bytesTotal"]) == ("queued", len(CSV))
    assert work_off() == 0
    assert tus.service.job(id_of(path))["format"] == "csv"
    assert stored_contacts() == ROWS


@pytest.mark.parametrize(
    ("content", "file_type"),
    [
        (CSV, "text/csv"),
        (CSV, "application/vnd.ms-excel"),
        (CSV, ""),
        (gzip.compress(CSV), "application/gzip"),
        (json.dumps({"source": "other", "data": CONTACTS}).encode(), JSON),
        (json.dumps(CONTACTS).encode(), JSON),
        (b"".join(json.dumps(contact).encode() + b"\n" for contact in CONTACTS), "application/x-ndjson"),
    ],
    ids=["csv", "excel", "untyped", "gzip", "object", "array", "ndjson"],
)
def test_every_format_comes_in(
    content: bytes, file_type: str, tus: Tus, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    tus.send(content, 13, filetype=file_type)
    assert work_off() == 0
    assert stored_contacts() == ROWS


def test_each_acknowledged_append_has_its_digest(tus: Tus, connection: db.Connection) -> None:
    path = tus.send(CSV, 11, 20)
    [row] = connection.execute("SELECT digests FROM jobs WHERE id = %s", [id_of(path)]).fetchall()
    ends = [0, 11, 31, len(CSV)]
    expected = [[end, hashlib.sha256(CSV[start:end]).hexdigest()] for start, end in pairwise(ends)]
    assert row["digests"] == expected


def test_bytes_that_nobody_has_hashed_are_not_compared_and_imported_all_the_same(
    tus: Tus, storage: Storage, connection: db.Connection, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    """A process that dies between the storage's answer and its entry leaves bytes without a digest."""
    path = tus.begin(len(CSV))
    tus.patch(path, 0, CSV[:11])
    [row] = connection.execute("SELECT object_key, upload_url FROM jobs").fetchall()
    storage.resume(row["object_key"], row["upload_url"]).append(CSV[11:20])
    assert tus.offset(path) == 20
    assert tus.patch(path, 20, CSV[20:]).status_code == 204
    [row] = connection.execute("SELECT digests FROM jobs").fetchall()
    assert [digest is None for _, digest in row["digests"]] == [False, True, False]
    assert work_off() == 0
    assert stored_contacts() == ROWS


@pytest.mark.parametrize(("on_invalid", "state", "imported"), [("", "succeeded", 2), ("abort", "failed", 0)])
def test_json_is_a_file_and_validated_by_the_worker(
    on_invalid: str, state: str, imported: int, tus: Tus, work_off: Callable[[], int]
) -> None:
    content = json.dumps([*CONTACTS, {"name": "Cid", "email": "cid"}]).encode()
    path = tus.send(content, 10, filetype=JSON, onInvalid=on_invalid)
    assert work_off() == (state == "failed")
    job = tus.service.job(id_of(path))
    assert (job["state"], job["rowsImported"], job["rowsRejected"]) == (state, imported, 1)
    assert job["issues"][0]["path"] == ["data", 2, "email"]


def test_broken_json_fails_in_the_worker(tus: Tus, work_off: Callable[[], int]) -> None:
    path = tus.send(b'[{"name": "Ann", "email": "ann@example.com"}', 10, filetype=JSON)
    assert work_off() == 1
    assert (job := tus.service.job(id_of(path)))["state"] == "failed"
    assert job["error"].startswith("malformed_input")


def test_what_can_be_no_import_is_refused_with_the_patch_that_shows_it(tus: Tus) -> None:
    path = tus.begin(len(PNG), filename="a.png", filetype="")
    answer = tus.patch(path, 0, PNG)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    answer = tus.create(len(PNG), PNG, filename="a.png", filetype="")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_what_can_be_no_import_and_comes_in_pieces_is_no_import_either(
    tus: Tus, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    path = tus.begin(len(PNG), filename="a.png", filetype="")
    tus.patch(path, 0, PNG[:3])
    refused = tus.patch(path, 3, PNG[3:])
    if refused.status_code == 204:
        assert work_off() == 1
        assert tus.service.job(id_of(path))["state"] == "failed"
    else:
        assert refused.status_code == 415
    assert stored_contacts() == []
