"""GET /exports over real HTTP: what goes out, to whom, and what becomes of it when it cannot be whole.

One web process serves the whole module. It has one place for exports and loses patience after a second.
"""

import csv
import gzip
import io
import itertools
import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import psutil
import pytest
import requests

from dataflow import db
from dataflow.exports.formats import FORMATS
from tests.support.processes import Web
from tests.support.waiting import eventually

WEB_VARIABLES = {
    **{"MAX_EXPORTS": 1, "EXPORT_STALL_SECONDS": 2, "EXPORT_SECONDS": 8},
    "API_KEYS": "all:all-hunter2-hunter2-hunter2 crm:crm-hunter2-hunter2-hunter2:crm|leads",
}
ALL, CRM = (
    {"Authorization": f"Bearer {name}-hunter2-hunter2-hunter2", "Accept-Encoding": "identity"}
    for name in ("all", "crm")
)
MIB = 1 << 20
HEADER = ["name", "email", "source", "imported_at", "_quoted"]


@pytest.fixture
def add(connection: db.Connection) -> Callable[..., UUID]:
    """Puts a contact into the table."""

    numbers = itertools.count(1)

    def insert(name: str, email: str = "ann@example.com", source: str = "crm", at: str = "2026-01-02 03:04:05") -> UUID:
        contact_id = UUID(int=next(numbers))
        connection.execute(
            "INSERT INTO contacts (id, name, email, source, imported_at) VALUES (%s, %s, %s, %s, %s)",
            [contact_id, name, email, source, at],
        )
        return contact_id

    return insert


def fill(connection: db.Connection, rows: int) -> None:
    connection.execute(
        "INSERT INTO contacts (name, email, source)"
        " SELECT 'Person ' || n, 'person' || n || '@example.com', 'crm' FROM generate_series(1, %s) n",
        [rows],
    )


def replace_by_view(connection: db.Connection, name: str) -> None:
    """Have each name be computed when it is read."""
    connection.execute("ALTER TABLE contacts RENAME TO contacts_there")
    connection.execute(
        f"CREATE VIEW contacts AS SELECT id, {name} AS name, email, source, imported_at FROM contacts_there"
    )


def export(web: Web, query: str = "", headers: dict[str, str] = ALL, **arguments: Any) -> requests.Response:
    return web.get(f"/exports{query}", headers=headers, **arguments)


def rows(answer: requests.Response) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.content.decode(), newline=""), strict=True))


def names(answer: requests.Response) -> list[str]:
    return [row[0] for row in rows(answer)[1:]]


def running(connection: db.Connection) -> list[str]:
    found = connection.execute(
        "SELECT state FROM pg_stat_activity WHERE application_name = 'dataflow/export' AND datname = current_database()"
    )
    return [row["state"] for row in found.fetchall()]


def begun(web: Web, query: str = "", version: str = "1.1") -> socket.socket:
    """A client that has asked for an export and has read nothing."""
    host, _, port = web.url.removeprefix("http://").partition(":")
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect((host, int(port)))
    head = f"GET /exports{query} HTTP/{version}\r\nHost: {host}\r\nAuthorization: {ALL['Authorization']}\r\n\r\n"
    line.sendall(head.encode())
    return line


def everything(line: socket.socket) -> bytes:
    found = bytearray()
    while piece := line.recv(65536):
        found += piece
    return bytes(found)


# What goes out.


def test_contacts_go_out_as_csv_with_guards_before_formulas_and_their_names(web: Web, add: Callable[..., UUID]) -> None:
    add("=1+1", "+ann@example.com", "@crm")
    add("'=1", "'+ann@example.com")
    add('Änn, "the" one\n\ttwo')
    add("\tTab", "1@example.com")
    assert rows(export(web)) == [
        HEADER,
        ["'=1+1", "'+ann@example.com", "'@crm", "2026-01-02 03:04:05", "name email source"],
        ["'=1", "'+ann@example.com", "crm", "2026-01-02 03:04:05", ""],
        ['Änn, "the" one\n\ttwo', "ann@example.com", "crm", "2026-01-02 03:04:05", ""],
        ["'\tTab", "1@example.com", "crm", "2026-01-02 03:04:05", "name"],
    ]
    assert rows(export(web, "?raw=true&fields=name,source"))[:2] == [["name", "source"], ["=1+1", "@crm"]]
    assert rows(export(web, "?fields=source,name"))[:2] == [
        ["source", "name", "_quoted"],
        ["'@crm", "'=1+1", "name source"],
    ]


def test_json_ndjson_and_cards_have_the_same_contacts(web: Web, add: Callable[..., UUID]) -> None:
    first, second = add('A "quoted"\n\\ name', "a@example.com"), add("=B", "b@example.com", "Büro")
    wanted = [
        {"email": "a@example.com", "name": 'A "quoted"\n\\ name', "id": str(first)},
        {"email": "b@example.com", "name": "=B", "id": str(second)},
    ]
    fields = "&fields=email,name,id"
    as_lines, as_array = export(web, f"?format=ndjson{fields}"), export(web, f"?format=json{fields}")
    assert [json.loads(line) for line in as_lines.content.splitlines()] == wanted
    assert as_array.json() == wanted
    assert list(as_array.json()[0]) == ["email", "name", "id"]
    assert export(web, "?format=json").json()[0]["imported_at"] == "2026-01-02T03:04:05+00:00"
    cards = export(web, "?format=vcard")
    assert cards.headers["Content-Type"] == "text/vcard; charset=utf-8"
    assert cards.content.decode().split("\r\n")[:4] == [
        *("BEGIN:VCARD", "VERSION:3.0", f"UID:urn:uuid:{first}", 'FN:A "quoted"\\n\\\\ name')
    ]
    assert cards.content.count(b"END:VCARD\r\n") == 2
    assert b"CATEGORIES:B\xc3\xbcro\r\nREV:20260102T030405Z\r\n" in cards.content
    assert [answer.headers["Content-Type"] for answer in (as_lines, as_array)] == [
        *("application/x-ndjson", "application/json")
    ]


def test_no_contacts_are_a_whole_file(web: Web) -> None:
    assert rows(export(web)) == [HEADER]
    assert export(web, "?format=json").json() == []
    assert export(web, "?format=ndjson").content == export(web, "?format=vcard").content == b""


def test_conditions_choose_contacts(web: Web, add: Callable[..., UUID]) -> None:
    add("A", "Ann@Example.com", "crm", "2026-01-01 00:00:00")
    add("B", "bob@example.com", "shop", "2026-01-02 00:00:00")
    add("C", "ann@example.com", "shop", "2026-01-03 00:00:00")
    for query, expected in {
        "": "ABC",
        "?source=shop": "BC",
        "?source=": "",
        "?email=aNN@example.com": "AC",
        "?importedAfter=2026-01-02": "BC",
        "?importedAfter=2026-01-02T00:00:00Z": "BC",
        "?importedBefore=2026-01-02T00:00:00Z": "A",
        "?importedAfter=2026-01-01T01:00:00%2B01:00&importedBefore=2026-01-03T00:00:00Z": "AB",
        "?limit=2": "CB",
        "?limit=1&source=crm": "A",
        f"?source={quote(chr(39))}": "",
    }.items():
        answer = export(web, query)
        assert "".join(names(answer)) == expected, query


def test_the_contacts_of_a_job_are_those_that_it_has_brought(
    web: Web, add: Callable[..., UUID], connection: db.Connection
) -> None:
    add("Before")
    first, last = add("First"), add("Last")
    add("Behind")

    def job(state: str, *ids: UUID) -> UUID:
        job_id, finished = uuid4(), "now()" if state != "queued" else "NULL"
        connection.execute(
            "INSERT INTO jobs (id, state, source, first_contact_id, last_contact_id, finished_at)"
            f" VALUES (%s, %s, 'crm', %s, %s, {finished})",
            [job_id, state, *(ids or (None, None))],
        )
        return job_id

    assert names(export(web, f"?jobId={job('succeeded', first, last)}")) == ["First", "Last"]
    assert names(export(web, f"?jobId={job('failed')}")) == []
    unfinished = export(web, f"?jobId={job('queued')}")
    assert (unfinished.status_code, unfinished.json()["code"]) == (409, "job_unfinished")
    unknown = export(web, f"?jobId={uuid4()}")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "job_not_found")


@pytest.mark.parametrize(
    "query",
    [
        *("format=xlsx", "format=CSV", "fields=", "fields=name,name", "fields=name,password", "fields=name;email"),
        *("limit=0", "limit=-1", "limit=x", "raw=1", "raw=true&format=json", "fields=name&format=vcard", "jobId=1"),
        *(
            "importedAfter=yesterday",
            "importedBefore=2026-13-01T00:00:00Z",
            "importedBefore=2026-01-02T00:00:00",
            "source=%00",
            "email=%00",
            "order=name",
        ),
        *("source=a&source=b", "source=%ff"),
    ],
)
def test_what_nobody_can_mean_is_refused(query: str, web: Web) -> None:
    answer = export(web, f"?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_key_with_sources_exports_these_alone(web: Web, add: Callable[..., UUID], connection: db.Connection) -> None:
    for source in ("crm", "leads", "shop"):
        add(source, source=source)
    assert names(export(web, headers=CRM)) == ["crm", "leads"]
    assert names(export(web, "?source=leads", CRM)) == ["leads"]
    refused = export(web, "?source=shop", CRM)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    job_id = uuid4()
    connection.execute(
        "INSERT INTO jobs (id, state, source, finished_at) VALUES (%s, 'failed', 'shop', now())", [job_id]
    )
    assert export(web, f"?jobId={job_id}", CRM).status_code == 404
    assert export(web, headers={}).status_code == 401


def test_the_head_says_what_comes_and_how_to_call_it(web: Web, add: Callable[..., UUID]) -> None:
    add("Ann")
    answer = export(web)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="contacts.csv"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert "Content-Encoding" not in answer.headers
    assert export(web, "?format=json&source=B%C3%BCro/1%22").headers["Content-Disposition"] == (
        "attachment; filename=\"contacts-B_ro_1_.json\"; filename*=UTF-8''contacts-B%C3%BCro_1_.json"
    )
    asked = web.request("HEAD", "/exports?format=vcard", headers=ALL)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["Content-Disposition"] == 'attachment; filename="contacts.vcf"'


def test_who_accepts_gzip_gets_it(web: Web, connection: db.Connection) -> None:
    fill(connection, 20_000)
    plain = export(web).content
    with export(web, headers={**ALL, "Accept-Encoding": "gzip"}, stream=True) as answer:
        packed = answer.raw.read(decode_content=False)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(packed) < len(plain) / 4
    assert gzip.decompress(packed) == plain
    assert "Content-Encoding" not in export(web, headers={**ALL, "Accept-Encoding": "gzip;q=0"}).headers


def test_over_http_1_0_there_is_none(web: Web) -> None:
    with begun(web, version="1.0") as line:
        answer = everything(line)
    assert answer.startswith(b"HTTP/1.1 400 ") or answer.startswith(b"HTTP/1.0 400 ")
    assert b"proxy_http_version 1.1" in answer


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_is_imported_as_it_was(
    name: str,
    web: Web,
    add: Callable[..., UUID],
    connection: db.Connection,
    work_off: Callable[[], int],
    stored_contacts: Callable[[], list[tuple[str, str, str]]],
) -> None:
    for number, contact in enumerate(("=1+1", "'=1", "+Tab\tand\nline", 'Änn; \\, "O\'Neill"', "NULL", "end:vcard")):
        add(contact, f"+person{number}@example.com")
    before = stored_contacts()
    content = export(web, f"?format={name}").content
    connection.execute("DELETE FROM contacts")
    headers = {**ALL, "Content-Type": FORMATS[name].media_type, "X-Source": "crm"}
    job_id = web.post(data=content, headers=headers).json()["jobId"]
    assert work_off() == 0
    job = web.get(f"/jobs/{job_id}", headers=ALL).json()
    assert (job["rowsImported"], job["rowsRejected"]) == (6, 0)
    assert sorted(stored_contacts()) == sorted(before)


# What cannot be whole.


def test_a_query_that_fails_midway_ends_the_answer_unfinished(web: Web, connection: db.Connection) -> None:
    fill(connection, 50_000)
    replace_by_view(connection, "CASE WHEN name = 'Person 49000' THEN (1 / (length(name) - 12))::text ELSE name END")
    for query in ("", "?format=json", "?format=ndjson"):
        with begun(web, query) as line:
            answer = everything(line)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"Person 20000" in answer
        assert not answer.endswith(b"0\r\n\r\n")
        assert not answer.rstrip().endswith(b"]")
    eventually(lambda: not running(connection))
    assert '"code": "database_error"' in web.log()
    assert "Person" not in web.log()


def test_a_query_that_fails_at_once_is_told(web: Web, connection: db.Connection) -> None:
    fill(connection, 1)
    replace_by_view(connection, "(1 / (length(name) - 8))::text")
    answer = export(web)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_error")


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("name", FORMATS)
def test_the_head_and_the_header_row_do_not_wait_for_rows(
    name: str, encoding: str, web: Web, connection: db.Connection
) -> None:
    fill(connection, 1)
    replace_by_view(connection, "name || pg_sleep(3)")
    with export(web, f"?format={name}", {**ALL, "Accept-Encoding": encoding}, stream=True) as answer:
        pieces = answer.iter_content(1)
        first = {"csv": ",".join(HEADER).encode(), "json": b"["}.get(name, b"")
        assert b"".join(itertools.islice(pieces, len(first))) == first
        assert running(connection) == ["active"]
        assert b"Person 1" in b"".join(pieces)


def test_a_client_that_leaves_ends_the_query_while_no_row_comes(web: Web, connection: db.Connection) -> None:
    fill(connection, 1)
    replace_by_view(connection, "name || pg_sleep(600)")
    with begun(web):
        eventually(lambda: running(connection) == ["active"])
    began = time.monotonic()
    eventually(lambda: not running(connection))
    assert time.monotonic() - began < 5


def test_a_client_that_leaves_ends_the_query_while_rows_come(web: Web, connection: db.Connection) -> None:
    fill(connection, 200_000)
    with begun(web) as line:
        assert line.recv(100)
        assert running(connection) == ["active"]
    began = time.monotonic()
    eventually(lambda: not running(connection))
    assert time.monotonic() - began < 5
    assert len(names(export(web))) == 200_000


def test_a_client_that_stops_reading_is_cut_off_and_holds_only_its_own_place(
    web: Web, connection: db.Connection
) -> None:
    fill(connection, 200_000)
    [process] = psutil.Process(web.process.pid).children()
    export(web)
    before = process.memory_info().rss
    with begun(web) as line:
        eventually(lambda: running(connection) == ["active"])
        busy = export(web)
        assert (busy.status_code, busy.json()["code"]) == (503, "too_many_exports")
        assert busy.headers["Retry-After"] == "5"
        sent = web.post(
            data=b"name,email\nAnn,ann@example.com\n", headers={**ALL, "Content-Type": "text/csv", "X-Source": "crm"}
        )
        assert sent.status_code == 200
        peak = before
        while running(connection):
            peak = max(peak, process.memory_info().rss)
        answer = everything(line)
    assert peak - before < 4 * MIB
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert not answer.endswith(b"0\r\n\r\n")
    assert export(web).status_code == 200


def test_an_export_that_takes_too_long_is_cut(web: Web, connection: db.Connection) -> None:
    fill(connection, 1)
    replace_by_view(connection, "name || pg_sleep(60)")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        export(web)
    assert '"code": "export_cut"' in web.log()
    eventually(lambda: not running(connection))


def test_a_table_that_is_being_changed_is_told_before_anything_is_sent(
    web: Web, connection: db.Connection, database: str
) -> None:
    with db.connect(database, "dataflow/test") as other, other.transaction():
        other.execute("LOCK TABLE contacts IN ACCESS EXCLUSIVE MODE")
        answer = export(web)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert not running(connection)


def test_the_database_that_is_lost_midway_ends_the_answer_unfinished(web: Web, connection: db.Connection) -> None:
    fill(connection, 200_000)
    with begun(web) as line:
        line.recv(100)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dataflow/export'"
        )
        answer = everything(line)
    assert not answer.endswith(b"0\r\n\r\n")
    assert export(web).status_code == 200


def test_an_export_gives_way_to_imports_and_is_whole(web: Web, connection: db.Connection) -> None:
    fill(connection, 100_000)
    connection.execute(
        "INSERT INTO jobs (id, state, source, worker, heartbeat_at)"
        " VALUES (gen_random_uuid(), 'running', 'crm', 'another', now() + interval '1 hour')"
    )
    assert len(names(export(web))) == 100_000
