"""POST /import over real HTTP: every way in, where options may stand, and what becomes of the rows.

One web process serves the whole module; every test begins with empty tables.
"""

import gzip
import itertools
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from dataflow import db
from tests.support.processes import Web, WorkerProcess

RUNS_OVER = ("local", "supabase")
THROUGH_FLASK = True
JSON, CSV, NDJSON, OCTETS = "application/json", "text/csv", "application/x-ndjson", "application/octet-stream"
CONTACTS = [{"name": "Ann", "email": "ann@example.com"}, {"name": "Bob", "email": "bob@example.com"}]
AS_JSON = json.dumps(CONTACTS).encode()
AS_NDJSON = b"".join(json.dumps(contact).encode() + b"\n" for contact in CONTACTS)
AS_CSV = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\n"
BAD_NDJSON = b'{"name": "Cid", "email": "cid"}\n'
FILE = ("contacts.csv", AS_CSV)

StoredContacts = Callable[[], list[tuple[Any, ...]]]
GZIP = {"Content-Encoding": "gzip"}


def rows(source: str) -> list[tuple[str, str, str]]:
    return [(contact["name"], contact["email"], source) for contact in CONTACTS]


def test_the_members_of_a_request_object_may_come_in_any_order(
    web: Web, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    members = {"source": "crm", "data": CONTACTS, "useResumable": True, "note": {"data": [1]}}
    for order in itertools.permutations(members):
        answer = web.post(json={name: members[name] for name in order})
        assert answer.status_code == 200, answer.text
        options = {"onInvalid": "abort", "maxRejects": 100_000, "onConflict": "insert", "dryRun": False}
        assert web.job(answer.json()["jobId"])["options"] == {**options, "useResumable": True}
    assert work_off() == 0
    assert stored_contacts() == rows("crm") * 24


@pytest.mark.parametrize("place", [{"params": {"source": "Büro 😀"}}, {"headers": {"X-Source": "Büro 😀".encode()}}])
@pytest.mark.parametrize(
    ("media_type", "body"), [(JSON, AS_JSON), (NDJSON, AS_NDJSON), (CSV, AS_CSV), (OCTETS, AS_JSON)]
)
def test_a_body_without_a_source_of_its_own_takes_it_from_query_or_header(
    media_type: str,
    body: bytes,
    place: dict[str, Any],
    web: Web,
    work_off: Callable[[], int],
    stored_contacts: StoredContacts,
) -> None:
    headers = {"Content-Type": media_type, **place.get("headers", {})}
    answer = web.post(data=body, headers=headers, params=place.get("params"))
    assert answer.status_code == 200, answer.text
    assert work_off() == 0
    assert stored_contacts() == rows("Büro 😀")


QUERY, HEADER = {"params": {"source": "query"}}, {"headers": {"X-Source": "header"}}
BODY = {"json": {"source": "body", "data": CONTACTS}}
FORM = {"files": {"file": FILE}, "data": {"source": "form"}}
FORM_OF_REQUEST_OBJECT = {"files": {"file": ("a.json", json.dumps(BODY["json"]))}, "data": {"source": "form"}}


@pytest.mark.parametrize(
    ("places", "winner"),
    [
        ([BODY], "body"),
        ([BODY, HEADER], "header"),
        ([BODY, QUERY], "query"),
        ([BODY, HEADER, QUERY], "query"),
        ([FORM], "form"),
        ([FORM, HEADER], "header"),
        ([FORM, HEADER, QUERY], "query"),
        ([FORM_OF_REQUEST_OBJECT], "form"),
    ],
)
def test_the_query_wins_over_headers_over_form_fields_over_the_body(
    places: list[dict[str, Any]],
    winner: str,
    web: Web,
    work_off: Callable[[], int],
    stored_contacts: StoredContacts,
) -> None:
    answer = web.post(**{name: value for place in places for name, value in place.items()})
    assert web.job(answer.json()["jobId"])["source"] == winner
    assert work_off() == 0
    assert stored_contacts() == rows(winner)


@pytest.mark.parametrize(
    ("request_arguments", "expected"),
    [
        ({"json": {"source": "crm", "data": CONTACTS}}, False),
        ({"json": {"source": "crm", "data": CONTACTS, "useResumable": True}}, True),
        (
            {"json": {"source": "crm", "data": CONTACTS, "useResumable": True}, "params": {"useResumable": "FALSE"}},
            False,
        ),
        ({"json": {"source": "crm", "data": CONTACTS}, "headers": {"X-Use-Resumable": "True"}}, True),
        ({"files": {"file": FILE}, "data": {"source": "crm", "useResumable": "TRUE"}}, True),
        ({"files": {"file": FILE}, "data": {"source": "crm", "useResumable": "false"}}, False),
    ],
)
def test_use_resumable_is_taken_from_wherever_it_stands(
    request_arguments: dict[str, Any], expected: bool, web: Web
) -> None:
    answer = web.post(**request_arguments)
    assert web.job(answer.json()["jobId"])["options"]["useResumable"] is expected


@pytest.mark.parametrize(("content", "name"), [(AS_JSON, "json"), (AS_NDJSON, "ndjson"), (AS_CSV, "csv")])
def test_the_content_decides_the_format_whatever_is_declared(
    content: bytes, name: str, web: Web, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    source = {"X-Source": "crm"}
    answers = [
        web.post(data=content, headers={"Content-Type": declared, **source}) for declared in (OCTETS, CSV, NDJSON)
    ]
    # What browsers on Windows declare a .csv file to be.
    spreadsheet = ("contacts", content, "application/vnd.ms-excel")
    answers.append(web.post(files={"file": spreadsheet}, headers=source))
    assert [web.job(answer.json()["jobId"])["format"] for answer in answers] == [name] * 4
    assert work_off() == 0
    assert stored_contacts() == rows("crm") * 4


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf"], ids=["byte order mark"])
@pytest.mark.parametrize(
    ("media_type", "body"), [(JSON, AS_JSON), (NDJSON, AS_NDJSON), (CSV, AS_CSV), (OCTETS, AS_JSON)]
)
def test_a_byte_order_mark_is_no_part_of_the_contacts(
    mark: bytes, media_type: str, body: bytes, web: Web, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    answer = web.post(data=mark + body, headers={"Content-Type": media_type, "X-Source": "crm"})
    assert answer.status_code == 200, answer.text
    assert work_off() == 0
    assert stored_contacts() == rows("crm")


def test_the_fields_of_a_form_may_come_before_and_after_its_file(
    web: Web, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    fields = [
        ("source", (None, "crm")),
        ("useResumable", (None, "true")),
        ("file", ("/home/ann/contacts.csv", AS_CSV)),
    ]
    for order in itertools.permutations(fields):
        answer = web.post(files=list(order))
        assert answer.status_code == 200, answer.text
        job = web.job(answer.json()["jobId"])
        assert (job["source"], job["fileName"], job["options"]["useResumable"]) == ("crm", "contacts.csv", True)
    assert work_off() == 0
    assert stored_contacts() == rows("crm") * 6


PART = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="%s"%s\r\n\r\n%s\r\n--edge--\r\n'
#: A file's name and further headers as they come in a form, and what is known of it then.
NAMES: list[tuple[bytes, bytes, str | None, str | None]] = [
    (b"Jos\xe9 \x80.csv", b"\r\nContent-Type: text/csv\r\nX-Note: \xfc", "José €.csv", "text/csv"),
    ("José.csv".encode(), b"", "José.csv", None),
    (b"/home/ann/a.csv", b"\r\nContent-Type: Text/CSV", "a.csv", "text/csv"),
    (b"/", b"\r\nContent-Type: x", None, None),
    (b"", b"\r\nContent-Type: text/\0csv", None, None),
]


@pytest.mark.one_storage
@pytest.mark.parametrize(("name", "headers", "shown_name", "shown_type"), NAMES)
def test_a_file_is_imported_whatever_its_part_of_the_form_calls_it(
    name: bytes, headers: bytes, shown_name: str | None, shown_type: str | None, web: Web
) -> None:
    body = PART % (name, headers, AS_CSV)
    answer = web.post("/import?source=crm", data=body, headers={"Content-Type": "multipart/form-data; boundary=edge"})
    assert answer.status_code == 200, answer.text
    job = web.job(answer.json()["jobId"])
    assert (job["fileName"], job["contentType"], job["format"]) == (shown_name, shown_type, "csv")


@pytest.mark.one_storage
@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("attachment; filename*=UTF-8''Jos%C3%A9%20%E2%82%AC.csv", "José €.csv"),
        ('attachment; filename="/home/ann/a.csv"', "a.csv"),
        ('attachment; filename="José.csv"', "José.csv"),
        ('attachment; filename="half \xe9.csv"', "half \ufffd.csv"),
        ('attachment; filename=""', None),
        ("attachment", None),
        (";;=\x80", None),
    ],
)
def test_a_raw_body_may_say_what_its_file_is_called(said: str, shown: str | None, web: Web) -> None:
    header = said.encode("latin-1") if "half" in said else said.encode()
    answer = web.post(data=AS_CSV, headers={"Content-Type": CSV, "X-Source": "crm", "Content-Disposition": header})
    assert answer.status_code == 200, answer.text
    assert web.job(answer.json()["jobId"])["fileName"] == shown


OTHER_NAMES = [
    *(("text/x-csv", AS_CSV), ("application/csv", AS_CSV), ("text/comma-separated-values", AS_CSV)),
    *(("binary/octet-stream", AS_CSV), ("application/x-jsonlines", AS_NDJSON)),
    ("text/json", json.dumps({"source": "crm", "data": CONTACTS}).encode()),
]


@pytest.mark.one_storage
@pytest.mark.parametrize(("media_type", "body"), OTHER_NAMES)
def test_a_type_may_have_another_name(
    media_type: str, body: bytes, web: Web, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    headers = {"Content-Type": media_type, "Content-Encoding": ""}
    source = {} if media_type == "text/json" else {"X-Source": "crm"}
    answer = web.post(data=body, headers={**headers, **source})
    assert answer.status_code == 200, answer.text
    assert work_off() == 0
    assert stored_contacts() == rows("crm")


@pytest.mark.one_storage
def test_a_long_mapping_fits_into_a_query_and_a_longer_one_into_a_form(web: Web) -> None:
    def mapping(characters: int) -> dict[str, list[str]]:
        return {"name": [f"{number}".rjust(characters, "é") for number in range(10)], "email": ["email"]}

    in_query = {"source": "crm", "mapping": json.dumps(mapping(100), ensure_ascii=False)}
    in_form = {"source": "crm", "mapping": json.dumps(mapping(200))}
    file = {"file": ("a.ndjson", AS_NDJSON)}
    answers = [web.post(params=in_query, files=file), web.post(data=in_form, files=file)]
    assert [answer.status_code for answer in answers] == [200, 200]
    found = [web.job(answer.json()["jobId"])["options"]["mapping"] for answer in answers]
    assert found == [mapping(100), mapping(200)]


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_the_location_of_the_job_keeps_the_callers_prefix(prefix: str, web: Web) -> None:
    answer = web.post(f"{prefix}/import", json={"source": "crm", "data": CONTACTS})
    job_id = answer.json()["jobId"]
    assert answer.json() == {"jobId": job_id}
    assert answer.headers["Location"] == f"{prefix}/jobs/{job_id}"
    assert web.get(answer.headers["Location"]).json()["jobId"] == job_id


@pytest.mark.parametrize("place", [{"params": {"onInvalid": "skip"}}, {"headers": {"X-On-Invalid": "skip"}}])
def test_skipping_bad_rows_of_a_json_body_leaves_the_verdict_to_the_worker(
    place: dict[str, Any], web: Web, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    answer = web.post(
        json={"source": "crm", "data": [CONTACTS[0], {"name": "Cid", "email": "cid"}, CONTACTS[1]]}, **place
    )
    assert answer.status_code == 200, answer.text
    assert work_off() == 0
    job = web.job(answer.json()["jobId"])
    assert (job["state"], job["rowsImported"], job["rowsRejected"]) == ("succeeded", 2, 1)
    [issue] = job["issues"]
    assert issue["path"] == ["data", 1, "email"]
    assert issue["message"].startswith("Invalid email format")
    assert stored_contacts() == rows("crm")


def test_skipping_bad_rows_does_not_admit_a_broken_document(web: Web, connection: db.Connection) -> None:
    broken = b'{"source": "crm", "data": [{"name": "Ann", "email": "ann@example.com"}'
    answer = web.post("/import?onInvalid=skip", data=broken, headers={"Content-Type": JSON})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_input")
    assert connection.execute("SELECT FROM jobs").fetchall() == []


def test_a_file_imports_its_good_rows_and_reports_the_others(
    web: Web, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    content = BAD_NDJSON * 150 + AS_NDJSON
    job_id = web.post(data=content, headers={"Content-Type": NDJSON, "X-Source": "crm"}).json()["jobId"]
    assert work_off() == 0
    job = web.job(job_id)
    assert (job["state"], job["rowsImported"], job["rowsRejected"]) == ("succeeded", 2, 150)
    assert [issue["path"] for issue in job["issues"]] == [["data", row, "email"] for row in range(100)]
    assert stored_contacts() == rows("crm")


def test_a_file_that_aborts_on_bad_rows_imports_nothing_and_counts_all_of_them(
    web: Web, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    # Bad rows at both ends of more than one block.
    content = BAD_NDJSON + AS_NDJSON * 3000 + BAD_NDJSON * 150
    answer = web.post("/import?onInvalid=abort", data=content, headers={"Content-Type": NDJSON, "X-Source": "crm"})
    assert work_off() == 1
    job = web.job(answer.json()["jobId"])
    assert (job["state"], job["rowsImported"], job["rowsRejected"]) == ("failed", 0, 151)
    assert job["error"].startswith("invalid_contacts: 151 rows")
    assert [issue["path"] for issue in job["issues"]][:2] == [["data", 0, "email"], ["data", 6001, "email"]]
    assert len(job["issues"]) == 100
    assert stored_contacts() == []


def test_a_refusal_tells_a_hundred_issues_and_counts_all(web: Web) -> None:
    answer = web.post(json={"data": [{"name": "", "email": "cid"}] * 75 + CONTACTS + [5] * 10})
    body = answer.json()
    assert (answer.status_code, body["issueCount"]) == (400, 1 + 2 * 75 + 10)
    paths = [issue["path"] for issue in body["issues"]]
    assert len(paths) == 100
    assert paths[:3] == [["source"], ["data", 0, "name"], ["data", 0, "email"]]
    assert paths[-1] == ["data", 49, "name"]


def test_the_request_id_is_kept_from_the_header_to_the_job(start_web: Callable[..., Web]) -> None:
    web = start_web()
    answer = web.post(json={"source": "crm", "data": CONTACTS}, headers={"X-Request-Id": "router-5f.1/a:b"})
    assert answer.headers["X-Request-Id"] == "router-5f.1/a:b"
    assert web.job(answer.json()["jobId"])["requestId"] == "router-5f.1/a:b"
    lines = [json.loads(line) for line in web.log().splitlines()]
    told = {line["message"]: line["request_id"] for line in lines if line.get("job_id") == answer.json()["jobId"]}
    assert told == dict.fromkeys(told, "router-5f.1/a:b")
    assert "job queued" in told


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 201, "ünfit".encode(), '"quoted"'])
def test_a_request_id_is_made_where_none_or_an_unfit_one_is_given(given: Any, web: Web) -> None:
    headers = {} if given is None else {"X-Request-Id": given}
    answers = [web.post(json={"source": "crm", "data": CONTACTS}, headers=headers), web.post(json={}, headers=headers)]
    made = [answer.headers["X-Request-Id"] for answer in answers]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in made)
    assert made[0] != made[1]
    assert web.job(answers[0].json()["jobId"])["requestId"] == made[0]


def numbered(source: str, media_type: str) -> tuple[bytes, list[tuple[str, str, str]]]:
    """500 contacts of a source's own, as the body of a file and as stored."""
    contacts = [{"name": f"{source} {number}", "email": f"{source}.{number}@example.com"} for number in range(500)]
    bodies = {
        OCTETS: json.dumps(contacts),
        NDJSON: "\n".join(map(json.dumps, contacts)),
        CSV: "name,email\n" + "".join(f"{contact['name']},{contact['email']}\n" for contact in contacts),
    }
    return bodies[media_type].encode(), [(contact["name"], contact["email"], source) for contact in contacts]


def test_twenty_imports_at_once_all_succeed_with_exact_rows(
    web: Web,
    start_worker: Callable[..., WorkerProcess],
    stored_contacts: StoredContacts,
) -> None:
    start_worker()
    start_line = Barrier(20)

    def submit(number: int) -> dict[str, Any]:
        media_type = (OCTETS, NDJSON, CSV)[number % 3]
        content, _ = numbered(f"source{number:02}", media_type)
        start_line.wait()
        answer = web.post(data=content, headers={"Content-Type": media_type, "X-Source": f"source{number:02}"})
        assert answer.status_code == 200, answer.text
        return web.finished_job(answer.json()["jobId"])

    with ThreadPoolExecutor(20) as pool:
        jobs = list(pool.map(submit, range(20)))
    assert {(job["state"], job["rowsImported"], job["rowsRejected"]) for job in jobs} == {("succeeded", 500, 0)}
    found = stored_contacts()
    assert len(found) == 20 * 500
    for number in range(20):
        source = f"source{number:02}"
        # In the order of the file: the ids of an import ascend.
        assert [row for row in found if row[2] == source] == numbered(source, CSV)[1]


def test_the_fields_of_a_form_count_wherever_they_come(
    web: Web, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    content = "wer,wohin\nÄnne,aenne@example.com\n".encode("utf-16-le")
    fields = {"source": "crm", "encoding": "utf-16-le", "mapping": '{"name": "wer", "email": "wohin"}'}
    file = ("file", ("contacts.bin", content, "application/octet-stream"))
    given = [(name, (None, value)) for name, value in fields.items()]
    for form in ([file, *given], [*given, file]):
        answer = web.post(files=form)
        assert answer.status_code == 200, answer.text
    assert work_off() == 0
    assert stored_contacts() == [("Änne", "aenne@example.com", "crm")] * 2


@pytest.mark.one_storage
def test_a_content_type_may_name_the_encoding_of_a_stream_and_of_a_forms_file(
    web: Web, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    # Read as cp1250, it would be another name.
    content = "name,email\nSøren,s@example.com\n".encode("mac-roman")
    media_type = "text/csv; Charset=Macintosh"
    bodies: list[dict[str, Any]] = [
        {"data": content, "headers": {"Content-Type": media_type, "X-Source": "crm"}},
        {"files": {"file": ("contacts.csv", content, media_type)}, "params": {"source": "crm"}},
    ]
    for body in bodies:
        job_id = web.post(**body).json()["jobId"]
        assert web.job(job_id)["options"]["charset"] == "mac-roman"
        [row] = web.post("/import/preview", **body).json()["rows"]
        assert row["name"] == "Søren"
    assert work_off() == 0
    assert stored_contacts() == [("Søren", "s@example.com", "crm")] * 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
def test_a_json_body_may_be_in_another_encoding_when_it_says_so(
    encoding: str, web: Web, work_off: Callable[[], int], stored_contacts: StoredContacts
) -> None:
    body = json.dumps({"source": "crm", "data": [{"name": "Änne", "email": "aenne@example.com"}]}, ensure_ascii=False)
    params = {"encoding": encoding} if encoding == "cp1252" else {}
    for content, headers in ((body.encode(encoding), {}), (gzip.compress(body.encode(encoding)), GZIP)):
        answer = web.post(data=content, params=params, headers={"Content-Type": JSON, **headers})
        assert answer.status_code == 200, answer.text
    assert work_off() == 0
    assert stored_contacts() == [("Änne", "aenne@example.com", "crm")] * 2


@pytest.mark.one_storage
@pytest.mark.parametrize("kept_bytes", [3, 12, -5])
def test_a_short_gzip_stream_that_is_cut_is_refused_as_that(kept_bytes: int, web: Web) -> None:
    for path in ("/import", "/import/preview"):
        cut = gzip.compress(AS_CSV, mtime=0)[:kept_bytes]
        answer = web.post(path, data=cut, headers={"Content-Type": CSV, "X-Source": "crm", **GZIP})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_input")
        assert "ends early" in answer.json()["error"]
