"""GET /jobs/{id}/rejects over real HTTP: the refused rows of a job as JSON pages, and as files that can be sent back.

One web process serves the whole module. It has one place for slow clients and loses patience after a second.
"""

import csv
import io
import json
import re
import socket
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests
from psycopg.types.json import Jsonb

from dataflow import db
from dataflow.text import MARK
from tests.support.processes import Web
from tests.support.waiting import eventually

WEB_VARIABLES = {"MAX_UPLOADS": 1, "UPLOAD_STALL_SECONDS": 1}
CSV, NDJSON = "text/csv", "application/x-ndjson"
EXTRA = ["_record", "_line", "_code", "_error"]
Finished = Callable[..., str]


@pytest.fixture
def finished(connection: db.Connection) -> Finished:
    """Writes down a job that has ended, with what it has refused."""

    def insert(
        *rows: dict[str, Any], columns: list[str] | None = None, state: str = "succeeded", kind: str = "import"
    ) -> str:
        job_id = uuid4()
        connection.execute(
            "INSERT INTO jobs (id, kind, of_job, state, source, detected, finished_at, rows_read, rows_rejected)"
            " VALUES (%s, %s, %s, %s, 'crm', %s, now(), %s, %s)",
            [
                *(job_id, kind, uuid4() if kind == "revert" else None, state),
                *(Jsonb({"columns": columns} if columns else {}), len(rows), len(rows)),
            ],
        )
        for number, row in enumerate(rows, 1):
            refuse(connection, job_id, {"record": number, "line": number + 1, **row})
        return str(job_id)

    return insert


def refuse(connection: db.Connection, job_id: UUID, row: dict[str, Any]) -> None:
    original = row["original"]
    values = {
        **{"field": "email", "code": "invalid_email", "message": "Invalid", "name": None, "email": None},
        **{"truncated": False, **row, "job_id": job_id},
        "original": original if isinstance(original, str) else json.dumps(original, ensure_ascii=False),
    }
    connection.execute(
        "INSERT INTO rejects (job_id, record, line, field, code, message, name, email, original, truncated) VALUES"
        " (%(job_id)s, %(record)s, %(line)s, %(field)s, %(code)s, %(message)s, %(name)s, %(email)s, %(original)s,"
        " %(truncated)s)",
        values,
    )


def refuse_many(connection: db.Connection, job_id: str, rows: int, original_bytes: int) -> None:
    connection.execute(
        "INSERT INTO rejects (job_id, record, code, message, original)"
        " SELECT %s, n, 'malformed_row', 'Bad', repeat('x', %s) FROM generate_series(1, %s) n",
        [job_id, original_bytes, rows],
    )


def read_csv(answer: requests.Response) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.content.decode(), newline=""), strict=True))


def read_ndjson(answer: requests.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.decode().splitlines()]


def refusal(answer: requests.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["status"] == answer.status_code
    return body["status"], body["code"]


def test_a_refused_row_is_shown_with_its_place_its_fault_and_its_cells(web: Web, finished: Finished) -> None:
    job_id = finished({"original": ["Änn", "bad"], "line": 7}, columns=["Name", "E-Mail"])
    answer = web.get(f"/jobs/{job_id}/rejects")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "rejects": [
            {
                **{"record": 1, "line": 7, "field": "email", "code": "invalid_email", "message": "Invalid"},
                **{"row": ["Änn", "bad"], "truncated": False},
            }
        ],
        "columns": ["Name", "E-Mail"],
    }


#: A row as it is kept, and as it is shown.
SHOWN = [
    ('{"name":"Änn","n":[1,{"a":null}]}', {"name": "Änn", "n": [1, {"a": None}]}),
    ('{"name": "Ann", ', '{"name": "Ann", '),
    ("[" * 4000, "[" * 4000),
    (DEEP := '{"a":' * 680 + "1" + "}" * 680, json.loads(DEEP)),
    ('{"n":NaN}', '{"n":NaN}'),
    ("BEGIN:VCARD\r\nEND:VCARD\r\n", "BEGIN:VCARD\r\nEND:VCARD\r\n"),
    ("42", 42),
]


def test_a_row_that_is_json_is_shown_as_such_and_any_other_as_text(web: Web, finished: Finished) -> None:
    job_id = finished(*({"original": original, "truncated": True} for original, _ in SHOWN))
    answer = web.get(f"/jobs/{job_id}/rejects")
    rejects = json.loads(answer.content, parse_constant=pytest.fail)["rejects"]
    assert [(reject["row"], reject["truncated"]) for reject in rejects] == [(shown, True) for _, shown in SHOWN]


def test_numbers_of_a_row_keep_every_digit(web: Web, finished: Finished) -> None:
    job_id = finished({"original": '{"id":12345678901234567890.10,"big":1e999}'})
    assert '"row": {"id":12345678901234567890.10,"big":1e999}' in web.get(f"/jobs/{job_id}/rejects").text


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_pages_lead_through_all_rows_and_keep_the_callers_prefix(prefix: str, web: Web, finished: Finished) -> None:
    # Cursors are numbers of records, which have gaps.
    job_id = finished(*({"original": [], "record": number} for number in (2, 3, 50, 1000, 10**12)))
    path: str | None = f"{prefix}/jobs/{job_id}/rejects?limit=2&format=json"
    pages = []
    while path:
        answer = web.get(path)
        pages.append([reject["record"] for reject in answer.json()["rejects"]])
        link = re.fullmatch(r'<(/[^>]*)>; rel="next"', answer.headers.get("Link", ""))
        path = link and link[1]
        assert path is None or path.startswith(f"{prefix}/jobs/{job_id}/rejects?")
    assert pages == [[2, 3], [50, 1000], [10**12]]


def test_a_page_has_a_hundred_rows_unless_another_number_is_asked_for(
    web: Web, finished: Finished, connection: db.Connection
) -> None:
    job_id = finished()
    refuse_many(connection, job_id, rows=1001, original_bytes=1)
    path = f"/jobs/{job_id}/rejects"
    for query, rows in (("", 100), ("?limit=1000", 1000), ("?cursor=1000", 1)):
        assert len(web.get(path + query).json()["rejects"]) == rows


WRONG = [
    *("limit=0", "limit=1001", "limit=x", "cursor=-1", "cursor=x", "cursor=9223372036854775808"),
    *("format=xml", "page=2", "limit=1&limit=2", "format=csv&limit=5", "format=ndjson&cursor=5"),
]


def test_a_wrong_or_unknown_parameter_is_named(web: Web, finished: Finished) -> None:
    path = f"/jobs/{finished()}/rejects"
    for query in WRONG:
        answer = web.get(f"{path}?{query}")
        assert refusal(answer) == (400, "invalid_request")
        assert query.rsplit("&", maxsplit=1)[-1].partition("=")[0] in answer.json()["error"]


ACCEPTED = [
    (None, "application/json"),
    ("", "application/json"),
    ("*/*", "application/json"),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
    ("application/json;q=0.5, text/csv", "text/csv; charset=utf-8"),
    ("text/csv;q=0.4, application/json;q=0.5", "application/json"),
    ("TEXT/CSV; charset=UTF-8; header=present", "text/csv; charset=utf-8"),
    ("text/*", "text/csv; charset=utf-8"),
    ("text/csv, */*", "text/csv; charset=utf-8"),
    ("text/csv;q=0, text/*, application/ndjson;q=0.1", "application/ndjson"),
    ("application/json;q=0, application/*", "application/x-ndjson"),
    ("application/x-ndjson", "application/x-ndjson"),
]


def test_accept_chooses_the_answer(web: Web, finished: Finished) -> None:
    path = f"/jobs/{finished()}/rejects"
    answers = {accept: web.get(path, headers={"Accept": accept}) for accept, _ in ACCEPTED}
    assert [(accept, answer.headers["Content-Type"]) for accept, answer in answers.items()] == ACCEPTED
    assert {(answer.status_code, answer.headers["Vary"]) for answer in answers.values()} == {(200, "Accept")}


def test_what_there_is_not_is_not_acceptable(web: Web, finished: Finished) -> None:
    path = f"/jobs/{finished()}/rejects"
    for accept in ("text/html", "text/csv;q=0", "*/*;q=0", "image/*, application/jsonx"):
        answer = web.get(path, headers={"Accept": accept})
        assert refusal(answer) == (406, "not_acceptable")
        assert "text/csv" in answer.json()["error"]
        assert answer.headers["Vary"] == "Accept"
        assert web.get(f"{path}?format=csv", headers={"Accept": accept}).headers["Content-Type"].startswith(CSV)


def test_csv_has_the_columns_of_the_file_and_what_is_wrong_with_each_row(web: Web, finished: Finished) -> None:
    job_id = finished(
        {"original": ["Ann", "bad", 'says "hi", twice\nor more'], "line": 2},
        {"original": ["=1+1", "ö@ä", ""], "line": 5, "field": None, "code": "malformed_row"},
        columns=["Name", "E-Mail", "Notes; old"],
    )
    answer = web.get(f"/jobs/{job_id}/rejects", headers={"Accept": CSV})
    assert answer.headers["Content-Disposition"] == f'attachment; filename="rejects-{job_id}.csv"'
    assert answer.content.decode() == (
        "Name,E-Mail,Notes; old,_record,_line,_code,_error\r\n"
        'Ann,bad,"says ""hi"", twice\nor more",1,2,invalid_email,email: Invalid\r\n'
        "=1+1,ö@ä,,2,5,malformed_row,Invalid\r\n"
    )


def test_the_file_of_a_source_without_columns_has_name_email_and_the_row_itself(web: Web, finished: Finished) -> None:
    row = '{"name":"Ann","email":7}'
    job_id = finished({"original": row, "name": "Ann", "line": None})
    path = f"/jobs/{job_id}/rejects?format="
    assert read_csv(web.get(f"{path}csv")) == [
        ["name", "email", "_row", *EXTRA],
        ["Ann", "", row, "1", "", "invalid_email", "email: Invalid"],
    ]
    answer = web.get(f"{path}ndjson")
    assert read_ndjson(answer) == [
        {
            **{"name": "Ann", "email": None, "_row": row, "_record": 1, "_line": None},
            **{"_code": "invalid_email", "_error": "email: Invalid"},
        }
    ]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="rejects-{job_id}.ndjson"'


def test_a_ragged_row_has_a_cell_for_each_column_and_a_mark_in_its_name(web: Web, finished: Finished) -> None:
    rows = [["1", "Ann"], ["2", "Smith", " Bob", "", "x", ""], ["3", " "], [f"4{MARK}", rf"Jos{MARK}\xe9"], []]
    ragged = {"code": "wrong_column_count", "field": None}
    cut = {"original": ["5", "Dan"], "truncated": True}
    job_id = finished(*({"original": row, **ragged} for row in rows), cut, columns=["email", "first", "last"])
    shown = [
        *(["1", f"{MARK}Ann", ""], ["2", f"{MARK}Smith", " Bob,,x"], ["3", " ", ""]),
        *([f"4{MARK}", rf"Jos{MARK}\xe9", ""], ["", "", ""], ["5", f"{MARK}Dan", ""]),
    ]
    header, *found = read_csv(web.get(f"/jobs/{job_id}/rejects?format=csv"))
    assert header == ["email", "first", "last", *EXTRA]
    assert [row[:3] for row in found] == shown
    assert {len(row) for row in found} == {7}
    assert [row[-1].endswith(". Write the name anew when the row is right.") for row in found] == [True] * 5 + [False]
    lines = read_ndjson(web.get(f"/jobs/{job_id}/rejects?format=ndjson"))
    assert [[line["email"], line["first"], line["last"]] for line in lines] == shown


def test_a_note_beside_a_table_does_not_become_part_of_a_contact(web: Web, finished: Finished) -> None:
    job_id = finished({"original": ["", "carl@x.co", "", "a note"], "code": "missing_name"}, columns=["name", "email"])
    [_, row] = read_csv(web.get(f"/jobs/{job_id}/rejects?format=csv"))
    assert row[:2] == ["", "carl@x.co"]


#: A header row, and what its rejects have in front of EXTRA.
HEADERS = [
    (["name", "email", "_row", *EXTRA], ["name", "email", "_row"]),
    (["name", " email", *EXTRA[:3], "_error ", "", " "], ["name", " email"]),
    (["_error", "name", "email", *EXTRA], ["_error", "name", "email"]),
    (["name", "email", *EXTRA[1:]], ["name", "email", *EXTRA[1:]]),
    (["_row", "name", "email", ""], ["_row", "name", "email", ""]),
]


def test_only_the_columns_that_a_rejects_file_ends_with_are_written_anew(web: Web, finished: Finished) -> None:
    for columns, own in HEADERS:
        job_id = finished({"original": [f"cell {at}" for at in range(len(columns))]}, columns=columns)
        header, row = read_csv(web.get(f"/jobs/{job_id}/rejects?format=csv"))
        assert header == [*own, *EXTRA]
        assert row == [*(f"cell {at}" for at in range(len(own))), "1", "2", "invalid_email", "email: Invalid"]
        [line] = read_ndjson(web.get(f"/jobs/{job_id}/rejects?format=ndjson"))
        assert [*line.values()] == [*row[: len(own)], 1, 2, *row[-2:]]


def test_the_row_of_a_line_that_is_refused_again_is_the_first_one(web: Web, finished: Finished) -> None:
    line = {"name": "Ann", "email": "bad", "_row": '{"e":"bad"}', **dict.fromkeys(EXTRA, 1)}
    own = {"name": "Ann", "_row": "is not ours"}
    job_id = finished({"original": json.dumps(line)}, {"original": json.dumps(own)}, {"original": '{"_row"'})
    found = read_ndjson(web.get(f"/jobs/{job_id}/rejects?format=ndjson"))
    assert [row["_row"] for row in found] == ['{"e":"bad"}', json.dumps(own), '{"_row"']


def test_a_row_that_was_cut_says_so(web: Web, finished: Finished) -> None:
    job_id = finished({"original": ["A" * 4000], "truncated": True}, columns=["name"])
    [_, row] = read_csv(web.get(f"/jobs/{job_id}/rejects?format=csv"))
    assert row[-1].startswith("email: Invalid (This row is too long")


def test_in_ndjson_every_column_has_a_name_of_its_own(web: Web, finished: Finished) -> None:
    columns = ["name", " email ", "Tag", "Tag", "", "Tag (2)", ""]
    job_id = finished({"original": ["Ann", "bad", "a", "b", "c", "d", "e"]}, columns=columns)
    [line] = read_ndjson(web.get(f"/jobs/{job_id}/rejects?format=ndjson"))
    assert list(line.items())[:7] == [
        *(("name", "Ann"), ("email", "bad"), ("Tag", "a"), ("Tag (2)", "b"), ("column 5", "c")),
        *(("Tag (2) (2)", "d"), ("column 7", "e")),
    ]


@pytest.mark.parametrize("kind", ["import", "revert"])
def test_a_job_that_refused_nothing_has_empty_lists_and_files(kind: str, web: Web, finished: Finished) -> None:
    path = f"/jobs/{finished(kind=kind)}/rejects"
    assert web.get(path).json() == {"rejects": [], "columns": []}
    assert read_csv(web.get(f"{path}?format=csv")) == [["name", "email", "_row", *EXTRA]]
    assert web.get(f"{path}?format=ndjson").content == b""


def test_head_tells_what_get_would(web: Web, finished: Finished) -> None:
    path = f"/jobs/{finished({'original': []})}/rejects?format="
    # More often than there are places: a file that nobody takes gives its place back.
    for form in ("json", "csv", "ndjson", "csv"):
        head = web.request("HEAD", path + form)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Type"] == web.get(path + form).headers["Content-Type"]


def test_rejects_are_known_of_jobs_that_there_are_and_that_have_ended(web: Web) -> None:
    job_id = web.post(json={"source": "crm", "data": [{"name": "Ann", "email": "ann@example.com"}]}).json()["jobId"]
    for query in ("", "?format=csv", "?format=ndjson"):
        assert refusal(web.get(f"/jobs/{uuid4()}/rejects{query}")) == (404, "job_not_found")
        assert refusal(web.get(f"/jobs/{job_id}/rejects{query}")) == (409, "job_unfinished")


def test_a_complete_file_comes_in_order_however_many_rows_there_are(
    web: Web, finished: Finished, connection: db.Connection
) -> None:
    job_id = finished()
    refuse_many(connection, job_id, rows=2501, original_bytes=100)
    found = read_csv(web.get(f"/jobs/{job_id}/rejects?format=csv"))
    assert [row[3] for row in found[1:]] == [str(number) for number in range(1, 2502)]


class SlowClient:
    """Asks for a file that is larger than what lies between us, and takes none of it until told to."""

    def __init__(self, web: Web, job_id: str) -> None:
        self._line = socket.socket()
        self._line.settimeout(20)
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self._line.connect(("127.0.0.1", web.port))
        self._line.sendall(f"GET /jobs/{job_id}/rejects?format=ndjson HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert self._line.recv(12) == b"HTTP/1.1 200"

    def rest(self) -> bytes:
        """What comes until the server hangs up, or the answer is complete."""
        taken = bytearray()
        with self._line:
            while not taken.endswith(b"\r\n0\r\n\r\n") and (piece := self._line.recv(1 << 20)):
                taken += piece
        return bytes(taken)


@pytest.fixture
def large(finished: Finished, connection: db.Connection) -> str:
    """A job whose rejects no socket buffers hold."""
    job_id = finished()
    refuse_many(connection, job_id, rows=2200, original_bytes=4000)
    return job_id


def test_a_client_that_takes_nothing_is_cut_off_and_holds_no_connection_to_the_database(
    web: Web, large: str, finished: Finished, connection: db.Connection
) -> None:
    began = time.monotonic()
    client = SlowClient(web, large)
    busy = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'dataflow/web' AND state <> 'idle'"
    eventually(lambda: connection.execute(busy.encode()).fetchone() is None, seconds=1)
    # It has the only place, which is free again before this gives up waiting.
    answer = web.get(f"/jobs/{finished()}/rejects?format=csv")
    assert answer.status_code == 200, answer.text
    assert time.monotonic() - began >= 1
    assert not client.rest().endswith(b"\r\n0\r\n\r\n")


def test_a_slow_reader_gives_way_when_all_places_are_taken(
    start_web: Callable[..., Web], large: str, finished: Finished
) -> None:
    web = start_web(MAX_UPLOADS=1, UPLOAD_STALL_SECONDS=60)
    slow, other = SlowClient(web, large), f"/jobs/{finished()}/rejects?format=csv"
    assert refusal(web.get(other)) == (503, "too_many_uploads")
    answer = eventually(lambda: found if (found := web.get(other)).ok else None)
    assert read_csv(answer)
    assert not slow.rest().endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM jobs WHERE id = %s",
        "UPDATE jobs SET finished_at = finished_at + interval '1 s' WHERE id = %s",
        "DELETE FROM rejects WHERE job_id = %s AND record = 2199",
    ],
    ids=["removed", "tried again", "one removed"],
)
def test_a_file_whose_rows_vanish_breaks_off_instead_of_looking_complete(
    change: str, web: Web, large: str, connection: db.Connection
) -> None:
    client = SlowClient(web, large)
    connection.execute(change.encode(), [large])
    rest = client.rest()
    assert b"\r\n\r\n" in rest
    assert not rest.endswith(b"\r\n0\r\n\r\n")


def test_a_slow_client_gets_all_of_it(web: Web, large: str) -> None:
    assert SlowClient(web, large).rest().count(b'"_code":"malformed_row"') == 2200


#: Of each kind of source a file of three good contacts and three bad ones, and its type.
SOURCES = {
    "csv": (
        'Exported today\n\nName;Note;E-Mail\nAnn;"=1;\n2";ann@example.com\nBob;;bob\n;says "hi";cid@example.com\n'
        "Dan;a;dan@example.com\nEve;b;eve@example.com;x;y\nFay;ü;fay@example.com\n".encode("cp1252"),
        CSV,
    ),
    "ndjson": (
        b'{"name":"Ann","email":"ann@example.com"}\n{"name":"Bob","email":"bob","n":1}\n{"email":"cid@example.com"}\n'
        b'{"name":"Dan","email":"dan@example.com"}\n{"name":"Eve"\n{"name":"Fay","email":"fay@example.com"}\n',
        NDJSON,
    ),
    "json": (
        b'[{"name":"Ann","email":"ann@example.com"},{"name":"Bob","email":"bob","n":[1,"\\u00fc"]},'
        b'{"name":null,"email":"cid@example.com"},{"name":"Dan","email":"dan@example.com"},'
        b'{"name":{"first":"Eve"},"email":5},{"name":"Fay","email":"fay@example.com"}]',
        "application/octet-stream",
    ),
    "vcard": (
        "".join(
            f"BEGIN:VCARD\r\nVERSION:3.0\r\n{lines}END:VCARD\r\n"
            for lines in (
                *("FN:Ann\r\nEMAIL:ann@example.com\r\n", "FN:Bob\r\nEMAIL:bob\r\n", "EMAIL:cid@example.com\r\n"),
                *("FN:Dan\r\nEMAIL:dan@example.com\r\n", "FN:Eve\r\n", "FN:Fay\r\nEMAIL:fay@example.com\r\n"),
            )
        ).encode(),
        "text/vcard",
    ),
}
CORRECTED = {2: ("Bob", "bob@example.com"), 3: ("Cid", "cid@example.com"), 5: ("Eve", "eve@example.com")}
EVERYBODY = [(name, f"{name.lower()}@example.com") for name in ("Ann", "Bob", "Cid", "Dan", "Eve", "Fay")]


Row = dict[str, Any]


def corrected(answer: requests.Response, form: str, correct: Callable[[Row], Row]) -> bytes:
    """A rejects file in which names and addresses are put right, and nothing else."""
    if form == "ndjson":
        lines = [correct(line) for line in read_ndjson(answer)]
        return "".join(json.dumps(line) + "\n" for line in lines).encode()
    header = read_csv(answer)[0]
    with io.StringIO(newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(map(correct, rows_of(answer, form)))
        return file.getvalue().encode()


def correct(row: Row) -> Row:
    name, email = CORRECTED[int(row["_record"])]
    columns = ("Name", "E-Mail") if "Name" in row else ("name", "email")
    return {**row, columns[0]: name, columns[1]: email}


@pytest.mark.parametrize(
    ("source", "form"),
    [("csv", "csv"), ("csv", "ndjson"), ("ndjson", "ndjson"), ("json", "csv"), ("vcard", "csv")],
)
def test_a_rejects_file_that_is_put_right_and_sent_back_gives_exactly_the_missing_contacts(
    source: str, form: str, web: Web, work_off: Callable[[], int], stored_contacts: Callable[[], list[tuple[str, ...]]]
) -> None:
    content, media_type = SOURCES[source]
    contacts: list[tuple[str, ...]] = []
    for _ in range(2):
        answer = web.post(data=content, headers={"Content-Type": media_type, "X-Source": "crm"})
        assert answer.status_code == 200, answer.text
        assert work_off() == 0
        job = web.job(answer.json()["jobId"])
        assert (job["state"], job["rowsImported"]) == ("succeeded", 3), job
        found = web.get(f"/jobs/{job['jobId']}/rejects?format={form}")
        if not contacts:
            contacts = stored_contacts()
            assert [int(row["_record"]) for row in rows_of(found, form)] == [*CORRECTED]
            content, media_type = corrected(found, form, correct), CSV if form == "csv" else NDJSON
    assert rows_of(found, form) == []
    assert sorted(contact[:2] for contact in stored_contacts()) == EVERYBODY


def rows_of(answer: requests.Response, form: str) -> list[dict[str, Any]]:
    if form == "ndjson":
        return read_ndjson(answer)
    header, *rows = read_csv(answer)
    return [dict(zip(header, row, strict=True)) for row in rows]


PARTS = '{"name":["Vorname","Nachname"],"email":"Mail"}'
#: Of each one row, which is refused, and which could be taken for a contact with half of its name or address.
HALVES = [
    ("email,name,notes\na@example.com,Lee, Ann,note\n", {}),
    ("email,name\na@example.com,Lee, Ann" + ",x" * 49 + "\n", {}),
    ("Mail;Vorname;Nachname\na@example.com;Ann;Lee;von\n", {"mapping": PARTS}),
    ("Mail;Vorname;Nachname\na@example.com;Ann\n", {"mapping": PARTS}),
    ("email,first,last\na@example.com,Ann\n", {}),
    (f"email,name{',note' * 20}\na@example.com,{'Ann ' * 200}{(',' + 'x' * 1000) * 20}\n", {}),
    (f"name,email{',note' * 120}\nMike,mike@example.com.br{(',' + 'x' * 40) * 121}\n", {}),
    ("name,_error\nMike,mike@example.com,br\n", {"mapping": '{"email":"_error"}'}),
]
RIGHT = {
    **dict.fromkeys(("name", "Vorname", "first"), "Ann"),
    **dict.fromkeys(("Nachname", "last"), ""),
    **dict.fromkeys(("email", "Mail", "_error"), "ann@example.com"),
}


@pytest.mark.parametrize(("form", "media_type"), [("csv", CSV), ("ndjson", NDJSON)])
def test_a_row_of_a_rejects_file_is_refused_again_and_again_until_a_script_has_corrected_it(
    form: str,
    media_type: str,
    web: Web,
    work_off: Callable[[], int],
    stored_contacts: Callable[[], list[tuple[str, ...]]],
) -> None:
    bodies, sent_as, shown = [text.encode() for text, _ in HALVES], CSV, []

    def jobs() -> list[dict[str, Any]]:
        headers = {"Content-Type": sent_as, "X-Source": "crm"}
        answers = [
            web.post("/import", params=options if sent_as == CSV else {}, data=body, headers=headers)
            for body, (_, options) in zip(bodies, HALVES, strict=True)
        ]
        work_off()
        return [web.job(answer.json()["jobId"]) for answer in answers]

    for _ in range(3):
        found = jobs()
        assert [(job["rowsRejected"], job["error"].split(":")[0]) for job in found] == [(1, "no_contacts")] * len(found)
        files = [web.get(f"/jobs/{job['jobId']}/rejects?format={form}") for job in found]
        shown.append([cells_of(rows_of(file, form)[0]) for file in files])
        bodies, sent_as = [file.content for file in files], media_type
    assert shown[1] == shown[2]
    assert form == "ndjson" or shown[0] == shown[1]
    bodies = [
        corrected(file, form, lambda row: row | {column: RIGHT[column] for column in row if column in RIGHT})
        for file in files
    ]
    assert [job["rowsImported"] for job in jobs()] == [1] * len(HALVES)
    assert {contact[:2] for contact in stored_contacts()} == {("Ann", "ann@example.com")}


def cells_of(row: Row) -> list[tuple[str, Any]]:
    """A row without what is said about it."""
    return [(column, cell) for column, cell in [*row.items()][: -len(EXTRA)] if column != "_row"]
