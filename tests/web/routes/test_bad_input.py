"""Bad input over real HTTP: a refusal that names the fault and its place, and nothing left behind.

One web process serves the whole module; every test begins with empty tables and no stored object.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from dataflow import db
from tests.support.processes import Web, WorkerProcess

MIB = 1024 * 1024
JSON, CSV, NDJSON, OCTETS = "application/json", "text/csv", "application/x-ndjson", "application/octet-stream"
FORM = "multipart/form-data; boundary=edge"
ANN = {"name": "Ann", "email": "ann@example.com"}
RUNS_OVER = ("local", "supabase")
THROUGH_FLASK = True
GOOD = json.dumps({"source": "crm", "data": [ANN]}).encode()
GOOD_CSV = b"name,email\nAnn,ann@example.com\n"
GOOD_NDJSON = b'{"name": "Ann", "email": "ann@example.com"}\n'


@pytest.fixture
def left_behind(connection: db.Connection, stored_files: Callable[[], list[Path]]) -> Callable[[], list[Any]]:
    """Rows of jobs, contacts, and files of the object storage, partial ones included."""

    def find() -> list[Any]:
        rows = connection.execute("SELECT id::text, state FROM jobs UNION ALL SELECT id::text, email FROM contacts")
        return [*rows.fetchall(), *stored_files()]

    return find


def refusal(answer: requests.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["status"] == answer.status_code
    assert answer.headers["Content-Type"] == "application/json"
    return answer.status_code, body["code"]


def issues(answer: requests.Response) -> list[tuple[list[Any], str]]:
    body = answer.json()
    assert body["issueCount"] == len(body["issues"])
    return [(issue["path"], issue["message"]) for issue in body["issues"]]


BROKEN_DOCUMENTS = {
    "a missing colon": b'{"source": "crm", "data": [{"name" "Ann"}]}',
    "a missing comma": b'{"source": "crm" "data": []}',
    "a trailing comma": b'{"source": "crm", "data": [{"name": "Ann", "email": "ann@example.com"},]}',
    "nothing but white space": b" \n\t ",
    "no JSON at all": GOOD_CSV,
    "one scalar": b"null",
    "cut inside a string": GOOD[:40],
    "cut between members": GOOD[:17],
    "cut before its last byte": GOOD[:-1],
    "garbage behind it": GOOD + b"x",
    "a second document behind it": GOOD + GOOD,
    "a second data": GOOD[:-1] + b', "data": []}',
    "a second data that is no array": GOOD[:-1] + b', "data": null}',
    "a second source": GOOD[:-1] + b', "source": "other"}',
    "a second useResumable": GOOD[:-1] + b', "useResumable": true, "useResumable": true}',
    "a high surrogate before an A": GOOD.replace(b"Ann", rb"\ud83d\u0041"),
    "a high surrogate at the end": GOOD.replace(b"Ann", rb"Ann\uD83D"),
    "a low surrogate alone": GOOD.replace(b"Ann", rb"\ude00Ann"),
    "a surrogate in the source": GOOD.replace(b"crm", rb"crm\ud83d"),
    "a surrogate in an ignored member": GOOD[:-1] + rb', "note": "\udc00"}',
    "invalid UTF-8": GOOD.replace(b"Ann", b"Ann\xff"),
    "Latin-1": GOOD.replace(b"Ann", "Änn".encode("latin-1")),
    "overlong UTF-8": GOOD.replace(b"Ann", b"\xc0\xaf"),
    "UTF-8 of a surrogate": GOOD.replace(b"Ann", b"\xed\xa0\xbd"),
    "an integer of 5,000 digits": GOOD.replace(b'"Ann"', b'"Ann", "age": ' + b"9" * 5000),
    "33 levels of nesting": GOOD[:-1] + b', "deep": ' + b"[" * 33 + b"]" * 33 + b"}",
    "an escape that is none": GOOD.replace(b"Ann", rb"\x41"),
    "a raw line break in a string": GOOD.replace(b"Ann", b"A\nn"),
    "NaN": GOOD.replace(b'"Ann"', b"NaN"),
}


@pytest.mark.parametrize("fault", BROKEN_DOCUMENTS)
def test_a_broken_json_document_is_refused(fault: str, web: Web, left_behind: Callable[[], list[Any]]) -> None:
    answer = web.post(data=BROKEN_DOCUMENTS[fault], headers={"Content-Type": JSON})
    assert refusal(answer) == (400, "malformed_input")
    assert answer.json()["error"].startswith("Invalid JSON format: ")
    assert not left_behind()


def test_half_a_surrogate_pair_is_named_by_its_byte(web: Web) -> None:
    body = BROKEN_DOCUMENTS["a high surrogate before an A"]
    error = web.post(data=body, headers={"Content-Type": JSON}).json()["error"]
    assert f"byte {body.index(b'd83d') - 2} " in error


@pytest.mark.parametrize("fault", ["invalid UTF-8", "a missing colon", "garbage behind it", "cut inside a string"])
def test_a_refusal_does_not_repeat_what_the_rows_hold(fault: str, web: Web) -> None:
    body = BROKEN_DOCUMENTS[fault].replace(b"ann@", b"confidential@")
    answer = web.post(data=body, headers={"Content-Type": JSON})
    assert answer.status_code == 400
    assert "Ann" not in answer.text
    assert "confidential" not in answer.text


BAD_FRAMES: dict[str, tuple[Any, list[Any], str]] = {
    "data missing": ({"source": "crm"}, ["data"], "Required"),
    "data empty": ({"source": "crm", "data": []}, ["data"], "Must contain at least 1 contact"),
    "data an object": ({"source": "crm", "data": ANN}, ["data"], "Expected an array"),
    "data a string": ({"source": "crm", "data": "Ann"}, ["data"], "Expected an array"),
    "data null": ({"source": "crm", "data": None}, ["data"], "Expected an array"),
    "a key that looks like a path": ({"source": "crm", "data.item": {}}, ["data"], "Required"),
    "an object where the path leads": ({"source": "crm", "data": {"item": {}}}, ["data"], "Expected an array"),
    "data one level too deep": ({"source": "crm", "nested": {"data": [ANN]}}, ["data"], "Required"),
    "source missing": ({"data": [ANN]}, ["source"], "Required"),
    "a bare array without source": ([ANN], ["source"], "Required"),
    "source null": ({"source": None, "data": [ANN]}, ["source"], "Required"),
    "source empty": ({"source": "", "data": [ANN]}, ["source"], "Must not be empty"),
    "source blank": ({"source": " \t", "data": [ANN]}, ["source"], "Must not be empty"),
    "source of 101 characters": ({"source": "x" * 101, "data": [ANN]}, ["source"], "Must contain at most 100"),
    "source a number": ({"source": 5, "data": [ANN]}, ["source"], "Expected a string"),
    "source an array": ({"source": ["crm"], "data": [ANN]}, ["source"], "Expected a string"),
    "source with NUL": ({"source": "c\0m", "data": [ANN]}, ["source"], "Contains a NUL character"),
    "useResumable a word": (
        {"source": "crm", "data": [ANN], "useResumable": "true"},
        ["useResumable"],
        "Expected true or false",
    ),
    "useResumable a number": (
        {"source": "crm", "data": [ANN], "useResumable": 1},
        ["useResumable"],
        "Expected true or false",
    ),
    "useResumable null": (
        {"source": "crm", "data": [ANN], "useResumable": None},
        ["useResumable"],
        "Expected true or false",
    ),
}


@pytest.mark.parametrize("fault", BAD_FRAMES)
def test_a_request_object_with_a_bad_member_is_refused(
    fault: str, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    document, path, message = BAD_FRAMES[fault]
    answer = web.post(json=document)
    assert refusal(answer) == (400, "invalid_contacts")
    assert answer.json()["error"].startswith("Invalid JSON format")
    [(found_path, found_message)] = issues(answer)
    assert found_path == path
    assert found_message.startswith(message)
    assert not left_behind()


BAD_CONTACTS: dict[str, tuple[Any, list[Any], str]] = {
    "a string": ("Ann", [], "Expected an object, found a string"),
    "a number": (5, [], "Expected an object"),
    "null": (None, [], "Expected an object, found null"),
    "an array": ([ANN], [], "Expected an object, found an array"),
    "name missing": ({"email": "a@example.com"}, ["name"], "Required"),
    "name empty": ({**ANN, "name": ""}, ["name"], "Must not be empty"),
    "name blank": ({**ANN, "name": " \u00a0\n"}, ["name"], "Must not be empty"),
    "name of 256 characters": ({**ANN, "name": "é" * 256}, ["name"], "Must contain at most 255 characters, has 256"),
    "name a number": ({**ANN, "name": 5}, ["name"], "Expected a string"),
    "name null": ({**ANN, "name": None}, ["name"], "Expected a string"),
    "name true": ({**ANN, "name": True}, ["name"], "Expected a string"),
    "name an object": ({**ANN, "name": {"first": "Ann"}}, ["name"], "Expected a string"),
    "name with NUL": ({**ANN, "name": "A\0n"}, ["name"], "Contains a NUL character"),
    "email missing": ({"name": "Ann"}, ["email"], "Required"),
    "email a number": ({**ANN, "email": 5}, ["email"], "Expected a string"),
    "email an array": ({**ANN, "email": ["a@example.com"]}, ["email"], "Expected a string"),
    "email with NUL": ({**ANN, "email": "a\0@example.com"}, ["email"], "Contains a NUL character"),
    "email of 255 octets": ({**ANN, "email": "a@" + "b." * 125 + "com"}, ["email"], "Invalid email format: longer"),
    **{
        f"email {address!r}": ({**ANN, "email": address}, ["email"], "Invalid email format")
        for address in ("", "ann", "ann@", "@example.com", "ann@@example.com", "ann@exa mple.com", "ann@example..com")
    },
}


@pytest.mark.parametrize("fault", BAD_CONTACTS)
def test_one_bad_contact_refuses_the_request_and_is_named(
    fault: str, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    contact, member, message = BAD_CONTACTS[fault]
    answer = web.post(json={"source": "crm", "data": [ANN, contact, ANN]})
    assert refusal(answer) == (400, "invalid_contacts")
    assert answer.json()["error"].startswith("Invalid JSON format")
    [(path, found)] = issues(answer)
    assert path == ["data", 1, *member]
    assert found.startswith(message)
    assert not left_behind()


def test_everything_wrong_with_a_request_is_told_at_once(web: Web, left_behind: Callable[[], list[Any]]) -> None:
    document = {"data": [{"name": "", "email": "ann"}, ANN, {"email": "bob@example.com"}], "useResumable": 0}
    assert [path for path, _ in issues(web.post(json=document))] == [
        ["source"],
        ["useResumable"],
        ["data", 0, "name"],
        ["data", 0, "email"],
        ["data", 2, "name"],
    ]
    assert not left_behind()


BAD_SOURCES = {
    "missing": ({}, "Required"),
    "empty": ({"X-Source": ""}, "Must not be empty"),
    "101 characters": ({"X-Source": "x" * 101}, "Must contain at most 100 characters, has 101"),
    "not UTF-8": ({"X-Source": "Büro".encode("latin-1")}, None),
}


@pytest.mark.parametrize("media_type", [CSV, NDJSON, OCTETS])
@pytest.mark.parametrize("fault", BAD_SOURCES)
def test_a_stream_needs_a_good_source(
    fault: str, media_type: str, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    headers, message = BAD_SOURCES[fault]
    answer = web.post(data=GOOD_CSV, headers={"Content-Type": media_type, **headers})
    assert refusal(answer) == (400, "invalid_request")
    assert message is None or issues(answer) == [(["source"], message)]
    assert not left_behind()


BAD_PARAMETERS: dict[str, tuple[str, dict[str, str], str]] = {
    "an unknown parameter": ("?colour=red", {}, "colour"),
    "useResumable=yes as parameter": ("?useResumable=yes", {}, "useResumable"),
    "useResumable empty as parameter": ("?useResumable=", {}, "useResumable"),
    "useResumable=1 as header": ("", {"X-Use-Resumable": "1"}, "useResumable"),
    "an unknown onInvalid as parameter": ("?onInvalid=ignore", {}, "onInvalid"),
    "an unknown onInvalid as header": ("", {"X-On-Invalid": "SKIP"}, "onInvalid"),
    "an empty dryRun as header": ("", {"X-Dry-Run": ""}, "dryRun"),
    "an empty source as header": ("", {"X-Source": ""}, "source"),
    "source with NUL as parameter": ("?source=c%00m", {}, "source"),
}


@pytest.mark.parametrize("media_type", [JSON, CSV, FORM])
@pytest.mark.parametrize("fault", BAD_PARAMETERS)
def test_a_wrong_parameter_is_refused_and_named(
    fault: str, media_type: str, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    query, headers, name = BAD_PARAMETERS[fault]
    bodies = {JSON: GOOD, CSV: GOOD_CSV, FORM: form(part("source", b"crm"), part("file", GOOD_CSV, "a.csv"))}
    source = {} if "source" in query else {"X-Source": "crm"}
    answer = web.post(
        f"/import{query}", data=bodies[media_type], headers={"Content-Type": media_type, **source, **headers}
    )
    assert answer.status_code == 400
    assert [path for path, _ in issues(answer)] == [[name]]
    assert not left_behind()


def test_a_parameter_given_twice_is_refused(web: Web, left_behind: Callable[[], list[Any]]) -> None:
    answer = web.post("/import?source=a&source=b", data=GOOD, headers={"Content-Type": JSON})
    assert refusal(answer) == (400, "invalid_request")
    assert "source is given 2 times" in answer.json()["error"]
    assert not left_behind()


@pytest.mark.one_storage
def test_a_query_in_another_encoding_is_refused_rather_than_stored_as_it_is_written(
    web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    answer = web.post("/import?source=caf%E9", data=GOOD_CSV, headers={"Content-Type": CSV})
    assert refusal(answer) == (400, "invalid_request")
    assert "UTF-8" in answer.json()["error"]
    assert not left_behind()


@pytest.mark.parametrize("media_type", [None, "", "text/html", "application/x-www-form-urlencoded", "application/xml"])
def test_a_type_that_cannot_be_imported_is_answered_with_those_that_can(
    media_type: str | None, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    headers = {"Content-Type": media_type} if media_type is not None else {}
    answer = web.post("/import?source=crm", data=GOOD, headers=headers)
    assert refusal(answer) == (415, "unsupported_media_type")
    for supported in (JSON, CSV, NDJSON, OCTETS, "multipart/form-data"):
        assert supported in answer.json()["error"]
    assert not left_behind()


@pytest.mark.parametrize(
    "content", [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x00\x01\x02", "name,email\n".encode("utf-16-be")]
)
def test_binary_content_is_refused(content: bytes, web: Web, left_behind: Callable[[], list[Any]]) -> None:
    stream = web.post(data=content, headers={"Content-Type": OCTETS, "X-Source": "crm"})
    posted = web.post(files={"file": ("contacts.bin", content, OCTETS)}, data={"source": "crm"})
    assert refusal(stream) == refusal(posted) == (415, "unsupported_media_type")
    assert not left_behind()


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_an_encoding_that_cannot_be_undone_is_refused_by_name(
    encoding: str, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    answer = web.post(data=GOOD_CSV, headers={"Content-Type": CSV, "X-Source": "crm", "Content-Encoding": encoding})
    assert refusal(answer) == (415, "unsupported_media_type")
    assert encoding in answer.json()["error"]
    assert answer.headers["Accept-Encoding"] == "gzip"
    assert not left_behind()


def test_content_that_is_not_compressed_as_declared_is_refused(web: Web, left_behind: Callable[[], list[Any]]) -> None:
    for body, media_type in ((GOOD_CSV, CSV), (GOOD, JSON)):
        headers = {"Content-Type": media_type, "X-Source": "crm", "Content-Encoding": "gzip"}
        assert refusal(web.post(data=body, headers=headers)) == (400, "malformed_input")
    assert not left_behind()


BAD_HEADERS: dict[str, tuple[bytes, str, str]] = {
    "without the columns": (b"first,last\nAnn,Example\n", "missing_columns", "first, last"),
    "without e-mail": (b"name,phone\nAnn,5\n", "missing_columns", "name, phone"),
    "with e-mail twice": (
        b"name,email,Email\nAnn,a@example.com,a@example.com\n",
        "ambiguous_columns",
        "Email (column 3)",
    ),
    "of blank lines": (b"\n\n\n", "no_contacts", "empty"),
}


@pytest.mark.parametrize("fault", BAD_HEADERS)
def test_a_file_whose_header_shows_that_it_cannot_be_imported_is_refused_at_once(
    fault: str, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    content, code, shown = BAD_HEADERS[fault]
    stream = web.post(data=content, headers={"Content-Type": CSV, "X-Source": "crm"})
    posted = web.post(files={"file": ("contacts.csv", content, CSV)}, data={"source": "crm"})
    zipped = web.post(data=gzip.compress(content), headers={"Content-Type": OCTETS, "X-Source": "crm"})
    for answer in (stream, posted, zipped):
        assert refusal(answer) == (400, code)
        assert shown in answer.json()["error"]
    assert not left_behind()


@pytest.mark.parametrize(
    ("media_type", "code"),
    [*((each, "no_contacts") for each in (JSON, CSV, NDJSON, OCTETS)), (FORM, "incomplete_body")],
)
def test_an_empty_body_is_refused(media_type: str, code: str, web: Web, left_behind: Callable[[], list[Any]]) -> None:
    answer = web.post(data=b"", headers={"Content-Type": media_type, "X-Source": "crm"})
    assert refusal(answer) == (400, code)
    assert not left_behind()


def part(name: str, content: bytes, file_name: str | None = None, media_type: bytes | None = None) -> bytes:
    file = f'; filename="{file_name}"' if file_name else ""
    declared = b"\r\nContent-Type: " + media_type if media_type else b""
    return f'Content-Disposition: form-data; name="{name}"{file}'.encode() + declared + b"\r\n\r\n" + content


def form(*parts: bytes, boundary: str = "edge") -> bytes:
    edge = f"--{boundary}".encode()
    return b"".join(edge + b"\r\n" + each + b"\r\n" for each in parts) + edge + b"--\r\n"


SOURCE_PART, FILE_PART = part("source", b"crm"), part("file", GOOD_CSV, "contacts.csv")
GOOD_FORM = form(SOURCE_PART, FILE_PART)
BAD_FORMS: dict[str, tuple[bytes, str]] = {
    "no file": (form(SOURCE_PART), "invalid_request"),
    "no part at all": (form(), "invalid_request"),
    "a file without a file name": (form(SOURCE_PART, part("file", GOOD_CSV)), "invalid_request"),
    "two files": (form(SOURCE_PART, FILE_PART, FILE_PART), "invalid_request"),
    "a file in another field": (form(SOURCE_PART, part("upload", GOOD_CSV, "contacts.csv")), "invalid_request"),
    "a second file in another field": (form(SOURCE_PART, FILE_PART, part("b", GOOD_CSV, "b")), "invalid_request"),
    "an unknown field": (form(SOURCE_PART, FILE_PART, part("colour", b"red")), "invalid_request"),
    "useResumable neither true nor false": (
        form(SOURCE_PART, FILE_PART, part("useResumable", b"1")),
        "invalid_request",
    ),
    "a source given twice": (form(SOURCE_PART, SOURCE_PART, FILE_PART), "invalid_request"),
    "no source": (form(FILE_PART), "invalid_request"),
    "source empty": (form(part("source", b""), FILE_PART), "invalid_request"),
    "source of 101 characters, last": (form(FILE_PART, part("source", b"x" * 101)), "invalid_request"),
    "source of 5,000 characters": (form(FILE_PART, part("source", b"x" * 5000)), "invalid_request"),
    "source not UTF-8": (form(part("source", b"B\xfcro"), FILE_PART), "invalid_request"),
    "source with NUL": (form(FILE_PART, part("source", b"c\0m")), "invalid_request"),
    "a file of no bytes": (form(SOURCE_PART, part("file", b"", "contacts.csv")), "no_contacts"),
    "another boundary than declared": (form(SOURCE_PART, FILE_PART, boundary="egde"), "incomplete_body"),
    "another boundary in the middle": (GOOD_FORM.replace(b"--edge--", b"--egde--"), "incomplete_body"),
    "a part without a head": (form(SOURCE_PART, FILE_PART, b"no head"), "incomplete_body"),
    "a part without a name": (
        form(SOURCE_PART, b"Content-Disposition: form-data\r\n\r\nx", FILE_PART),
        "invalid_request",
    ),
    "a part's head without end": (b"--edge\r\nX-Long: " + b"x" * MIB + GOOD_FORM, "invalid_request"),
    "a megabyte before the first boundary": (b"x" * MIB + b"\r\n" + GOOD_FORM, "invalid_request"),
    "cut before its last boundary": (GOOD_FORM.removesuffix(b"--edge--\r\n"), "incomplete_body"),
    "cut inside its last boundary": (GOOD_FORM.removesuffix(b"ge--\r\n"), "incomplete_body"),
    "cut inside the file": (GOOD_FORM[: GOOD_FORM.index(b"Ann")], "incomplete_body"),
}


@pytest.mark.parametrize("fault", BAD_FORMS)
def test_a_bad_form_is_refused(fault: str, web: Web, left_behind: Callable[[], list[Any]]) -> None:
    body, code = BAD_FORMS[fault]
    assert refusal(web.post(data=body, headers={"Content-Type": FORM})) == (400, code)
    assert not left_behind()


WRONG_PARTS = {
    "a file in the field upload": part("upload", GOOD_CSV, "contacts.csv"),
    "a file in the field files[]": part("files[]", GOOD_CSV, "contacts.csv"),
    "no file name in the field file": part("file", GOOD_CSV),
    "more than one file": b"\r\n--edge\r\n".join([FILE_PART, FILE_PART]),
    "has no name": b"Content-Disposition: form-data\r\n\r\nx",
    "source is longer than 16384 bytes": part("source", b"x" * 16385),
}


@pytest.mark.one_storage
@pytest.mark.parametrize("fault", WRONG_PARTS)
def test_what_is_wrong_with_a_part_of_a_form_is_named(fault: str, web: Web) -> None:
    answer = web.post(data=form(WRONG_PARTS[fault]), headers={"Content-Type": FORM})
    assert refusal(answer) == (400, "invalid_request")
    assert fault in answer.json()["error"]


def test_a_boundary_that_is_no_text_of_the_standard_is_refused(web: Web, left_behind: Callable[[], list[Any]]) -> None:
    media_type = "multipart/form-data; boundary*=UTF-8''%e2%82%ac"
    assert refusal(web.post(data=b"x", headers={"Content-Type": media_type})) == (400, "invalid_request")
    assert not left_behind()


def test_a_form_without_a_boundary_is_refused(web: Web, left_behind: Callable[[], list[Any]]) -> None:
    answer = web.post(data=GOOD_FORM, headers={"Content-Type": "multipart/form-data"})
    assert refusal(answer) == (400, "invalid_request")
    assert "boundary" in answer.json()["error"]
    assert not left_behind()


BAD_FILES: dict[str, tuple[str, bytes, str]] = {
    "CSV with a header only": (CSV, b"name,email\n", "no_contacts"),
    "CSV with ragged rows only": (CSV, b"name,email\nAnn\nAnn,ann@example.com,more\n", "no_contacts"),
    "CSV with an unclosed quote": (CSV, GOOD_CSV + b'"Bob,bob@example.com\n' * 3, "malformed_input"),
    "NDJSON without one good line": (NDJSON, b'{"name": "Ann"}\n[]\n{"name": "Ann", \n', "no_contacts"),
    "NDJSON with a lone surrogate": (NDJSON, GOOD_NDJSON.replace(b"Ann", rb"\ud83d\u0041"), "no_contacts"),
    "NDJSON with NUL": (NDJSON, GOOD_NDJSON.replace(b"Ann", rb"A\u0000n"), "no_contacts"),
    "NDJSON with invalid UTF-8": (NDJSON, GOOD_NDJSON.replace(b"Ann", b"\xc0\xaf"), "no_contacts"),
    "NDJSON with an integer of 5,000 digits": (NDJSON, GOOD_NDJSON.replace(b'"Ann"', b"9" * 5000), "no_contacts"),
    "NDJSON nested 100,000 deep": (NDJSON, b'{"name": ' + b"[" * 100_000 + b"\n", "no_contacts"),
    "a JSON file that is cut": (OCTETS, json.dumps([ANN, ANN]).encode()[:-1], "malformed_input"),
    "a JSON file with garbage behind it": (OCTETS, json.dumps([ANN]).encode() + b"x", "malformed_input"),
    "a JSON file with half a surrogate pair": (OCTETS, GOOD.replace(b"Ann", rb"\ud83d\u0041"), "malformed_input"),
    "a JSON file with a second data": (OCTETS, GOOD[:-1] + b', "data": []}', "malformed_input"),
    "a JSON file whose data is no array": (OCTETS, b'{"data": {"item": {}}}', "malformed_input"),
    "a JSON file of an empty array": (OCTETS, b"[]", "no_contacts"),
    "CSV in a gzip stream that ends early": (CSV, gzip.compress(GOOD_CSV * 20_000)[:-9], "malformed_input"),
    "CSV compressed in a damaged stream": (CSV, gzip.compress(GOOD_CSV * 20_000)[:-8] + b"\0" * 8, "malformed_input"),
    "a workbook that is none": (OCTETS, b"PK\x03\x04\x00\x00", "malformed_input"),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_a_file_that_cannot_be_imported_fails_its_job_and_imports_nothing(
    fault: str,
    web: Web,
    work_off: Callable[[], int],
    stored_contacts: Callable[[], list[tuple[Any, ...]]],
) -> None:
    media_type, content, code = BAD_FILES[fault]
    answer = web.post(data=content, headers={"Content-Type": media_type, "X-Source": "crm"})
    assert answer.status_code == 200
    assert work_off() == 1
    job = web.job(answer.json()["jobId"])
    assert (job["state"], job["rowsImported"]) == ("failed", 0)
    assert job["error"].startswith(f"{code}: ")
    assert stored_contacts() == []


def test_ragged_rows_are_refused_one_by_one(
    web: Web, work_off: Callable[[], int], stored_contacts: Callable[[], list[tuple[Any, ...]]]
) -> None:
    content = GOOD_CSV + b"Bob\nCid,cid@example.com\nDan,dan@example.com,more\n"
    job_id = web.post(data=content, headers={"Content-Type": CSV, "X-Source": "crm"}).json()["jobId"]
    assert work_off() == 0
    job = web.job(job_id)
    assert (job["state"], job["rowsImported"], job["rowsRejected"]) == ("succeeded", 2, 2)
    assert job["issues"] == [
        {"path": ["data", 1], "message": "Expected 2 cells, found 1"},
        {"path": ["data", 3], "message": "Expected 2 cells, found 3"},
    ]
    assert [name for name, _, _ in stored_contacts()] == ["Ann", "Cid"]


def test_of_duplicate_keys_the_last_wins(
    web: Web, work_off: Callable[[], int], stored_contacts: Callable[[], list[tuple[Any, ...]]]
) -> None:
    row = b'{"name": 5, "email": "ann", "name": "Ann", "email": "ann@example.com"}'
    assert web.post("/import?source=a", data=b"[%s]" % row, headers={"Content-Type": JSON}).status_code == 200
    assert web.post("/import?source=b", data=row, headers={"Content-Type": NDJSON}).status_code == 200
    assert work_off() == 0
    assert stored_contacts() == [("Ann", "ann@example.com", source) for source in "ab"]


ODD_FOR_COPY = [
    "tab\tin it",
    "line\nbreak",
    "carriage\r\nreturn",
    "old\rMac",
    "back\\slash",
    "ends in \\",
    "x\\N",
    "\\.",
]
ODD_FOR_FORMATS = [
    '"quoted"',
    'one " alone',
    "it's",
    "comma, semicolon;",
    "{}",
    "null",
    "\\x41",
    " padded ",
    "a \ufeffmark",
]
ODD_FOR_UNICODE = [
    "e\u0301",
    "emoji 👩‍👩‍👧‍👦 😀",
    "\x01\x1c",
    "x\x7f\x85",
    "x\u2028\u2029",
    "\u202edrah",
    "\U0010ffff",
    "😀" * 255,
]
TEXTS = [*ODD_FOR_COPY, *ODD_FOR_FORMATS, *ODD_FOR_UNICODE]
ADDRESSES = [rf'"back\\slash {number}"@example.com' for number in range(len(TEXTS))]
ROWS = [{"name": name, "email": address} for name, address in zip(TEXTS, ADDRESSES, strict=True)]
ODD_SOURCE = 'tab\t, \\N, \\., "quotes", 😀 and a\nline break'


def as_csv() -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["email", "name"])
    writer.writerows([row["email"], row["name"]] for row in ROWS)
    return text.getvalue().encode()


WAYS: dict[str, dict[str, Any]] = {
    "JSON": {"json": {"source": ODD_SOURCE, "data": ROWS}},
    "JSON as UTF-8": {
        "data": json.dumps({"data": ROWS, "source": ODD_SOURCE}, ensure_ascii=False).encode(),
        "headers": {"Content-Type": JSON},
    },
    "a JSON file": {
        "data": json.dumps(ROWS),
        "headers": {"Content-Type": OCTETS},
        "params": {"source": ODD_SOURCE},
    },
    "NDJSON": {
        "data": "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode(),
        "headers": {"Content-Type": NDJSON},
        "params": {"source": ODD_SOURCE},
    },
    "CSV": {"data": as_csv(), "headers": {"Content-Type": CSV}, "params": {"source": ODD_SOURCE}},
    "a form": {"files": {"file": ("contacts.csv", as_csv())}, "data": {"source": ODD_SOURCE}},
}


@pytest.mark.parametrize("way", WAYS)
def test_every_character_arrives_unchanged(
    way: str, web: Web, work_off: Callable[[], int], stored_contacts: Callable[[], list[tuple[Any, ...]]]
) -> None:
    answer = web.post(**WAYS[way])
    assert answer.status_code == 200, answer.text
    work_off()
    assert web.job(answer.json()["jobId"])["issues"] == []
    assert stored_contacts() == [(row["name"], row["email"], ODD_SOURCE) for row in ROWS]


LONG_STRINGS = {
    "JSON file": (OCTETS, b'[{"name": "', b'", "email": "a@example.com"}]'),
    "NDJSON": (NDJSON, GOOD_NDJSON + b'{"name": "', b'", "email": "a@example.com"}\n'),
    "CSV": (CSV, GOOD_CSV + b'"', b'",a@example.com\n'),
    "CSV without a quote": (CSV, GOOD_CSV, b",a@example.com\n"),
}


def test_one_string_of_50_mb_in_a_file_fails_its_job_in_little_memory(
    start_web: Callable[..., Web],
    start_worker: Callable[..., WorkerProcess],
    stored_contacts: Callable[[], list[tuple[Any, ...]]],
) -> None:
    web, worker = start_web(), psutil.Process(start_worker().process.pid)
    before = peak = worker.memory_info().rss
    for media_type, begin, end in LONG_STRINGS.values():
        pieces = [begin, *[b"x" * MIB] * 50, end]
        job_id = web.post(data=iter(pieces), headers={"Content-Type": media_type, "X-Source": "crm"}).json()["jobId"]
        while not (job := web.job(job_id))["finishedAt"]:
            peak = max(peak, worker.memory_info().rss)
        assert (job["state"], job["error"].partition(":")[0]) == ("failed", "row_too_large")
    assert peak - before < 24 * MIB
    assert stored_contacts() == []


@pytest.mark.parametrize("media_type", [JSON, CSV, FORM])
def test_an_upload_that_cannot_be_stored_is_refused(
    media_type: str, broken_storage: Web, left_behind: Callable[[], list[Any]]
) -> None:
    body = {JSON: GOOD, CSV: GOOD_CSV, FORM: GOOD_FORM}[media_type]
    answer = broken_storage.post(data=body, headers={"Content-Type": media_type, "X-Source": "crm"})
    assert refusal(answer) == (503, "storage_unavailable")
    assert not left_behind()


@pytest.fixture(scope="module")
def broken_storage(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web process whose object directory cannot be made, not even by root: a file is in its place."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "objects").write_text("in the way")
    started = Web.start({"DATABASE_URL": database, "DATA_DIR": folder})
    yield started
    started.stop()


@pytest.mark.parametrize(
    ("media_type", "words"),
    [
        (OCTETS, "Missing required parameters for stream upload: source"),
        ("text/xml", "Unsupported content type: text/xml"),
    ],
)
def test_a_refusal_begins_with_the_words_of_the_original(media_type: str, words: str, web: Web) -> None:
    answer = web.post(data=b"[]", headers={"Content-Type": media_type})
    assert answer.json()["error"].startswith(words)
