"""Nothing that a client sends leaks, breaks out, or gets anywhere but where it belongs.

Contacts, names of files, headers and parameters are marked, and looked for in everything that others read: the logs of
web and worker, metrics, errors, object keys. What would break out of a header, a path, a statement or a COPY is sent in
every place that takes text.
"""

import csv
import gzip
import io
import json
import logging
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes
from uuid import UUID

import psutil
import pytest
import requests

from dataflow import db, logs
from dataflow.config import Config
from dataflow.imports.option_names import kebab_case
from dataflow.imports.options import OptionsSchema
from dataflow.web.app import create_app
from tests.support.openapi import described
from tests.support.processes import ChildProcess, Web, free_port
from tests.support.waiting import DEADLINE_SECONDS
from tests.support.workbooks import saved

JSON, CSV, NDJSON, OCTETS = "application/json", "text/csv", "application/x-ndjson", "application/octet-stream"
#: Whoever reads the answers has sent these headers, which are echoed where that is allowed.
WEB_VARIABLES = {"CORS_ORIGINS": "*", "RATE_LIMIT": 1_000_000, "TRUSTED_PROXIES": "127.0.0.1"}
MARK = "zzqleak"
NAME, ADDRESS = f"{MARK}-name", f"{MARK}-mail@{MARK}-host.example"
BAD_ADDRESS = f"{MARK}-mail.{MARK}-host.example"


@pytest.fixture
def worker_log(work_off: Callable[[], int], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Works off what is queued; what a worker then writes into its log."""
    caplog.set_level(logging.INFO)

    def work() -> str:
        caplog.clear()
        work_off()
        lines = [logs.formatter("json").format(record) for record in caplog.records]
        assert any("worker stopped" in line for line in lines)
        return "\n".join(lines)

    return work


# Contacts.


def as_csv(*rows: tuple[str, ...], head: tuple[str, ...] = ("name", "email")) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([head, *rows])
    return text.getvalue().encode()


def as_vcard(name: str, address: str) -> bytes:
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{name}\r\nEMAIL:{address}\r\nEND:VCARD\r\n".encode()


def as_json(*rows: object) -> bytes:
    return json.dumps({"source": "crm", "data": [*rows]}).encode()


GOOD_ROW, BAD_ROW = {"name": NAME, "email": ADDRESS}, {"name": NAME, "email": BAD_ADDRESS}
LINE = json.dumps(GOOD_ROW).encode() + b"\n"
TABLE = as_csv((NAME, ADDRESS))
MARKED: dict[str, tuple[str, bytes]] = {
    "CSV": (CSV, as_csv((NAME, ADDRESS), (NAME, BAD_ADDRESS))),
    "CSV of refused rows only": (CSV, as_csv((NAME, BAD_ADDRESS), ("", ADDRESS))),
    "CSV without a header row": (CSV, f"{NAME},{ADDRESS}\n".encode() * 3),
    "CSV whose columns are not known": (CSV, as_csv((NAME, ADDRESS), head=("one", "two"))),
    "CSV with two columns of names": (CSV, as_csv((NAME, NAME, ADDRESS), head=("name", "full name", "email"))),
    "CSV with contacts above its header": (CSV, f"{NAME},{ADDRESS}\n".encode() + TABLE),
    "CSV of ragged rows": (CSV, TABLE + f"{NAME}\n{NAME},{ADDRESS},more\n".encode()),
    "CSV with an unclosed quote": (CSV, TABLE + f'"{NAME},{ADDRESS}\n'.encode() * 3),
    "CSV with bytes that are no text": (CSV, TABLE + f"{NAME},{ADDRESS}\n".encode().replace(b"-name", b"\xff\xfe")),
    "CSV with NUL": (CSV, TABLE + f"{NAME}\0,{ADDRESS}\n".encode()),
    "CSV with a row that is too large": (CSV, TABLE + f'"{NAME}{"x" * 1_100_000}",{ADDRESS}\n'.encode()),
    "CSV that is compressed": (CSV, gzip.compress(TABLE)),
    "CSV in a damaged stream": (CSV, gzip.compress(TABLE * 20_000)[:-9]),
    "a text": (CSV, f"Dear all,\n{NAME} is at {ADDRESS}.\n".encode()),
    "a text that begins with an address": (CSV, f"{ADDRESS} is where {NAME} lives.\nWrite.\n".encode()),
    "names and addresses with nothing between": (CSV, f"{NAME} {ADDRESS}\n".encode() * 3),
    "addresses alone": (CSV, f"{ADDRESS}\n".encode() * 3),
    "a mail": ("text/plain", f"From: {NAME} <{ADDRESS}>\nSubject: {NAME}\n\nHello {NAME}\n".encode()),
    "SQL": ("text/plain", f"INSERT INTO contacts VALUES ('{NAME}', '{ADDRESS}');\n".encode() * 5),
    "LDIF": ("text/plain", f"dn: cn={NAME}\ncn: {NAME}\nmail: {ADDRESS}\n\n".encode() * 3),
    "JSON": (JSON, as_json(GOOD_ROW)),
    "JSON with a bad address": (JSON, as_json(GOOD_ROW, BAD_ROW)),
    "JSON that is cut": (JSON, as_json(GOOD_ROW)[:-9]),
    "JSON with a missing colon": (JSON, as_json(GOOD_ROW).replace(b'"name": "z', b'"name" "z')),
    "JSON with a row that is a text": (JSON, as_json(GOOD_ROW, f"{NAME} {ADDRESS}")),
    "JSON keyed by an address": (JSON, json.dumps({"source": "crm", "data": {ADDRESS: GOOD_ROW}}).encode()),
    "JSON of rows by address": (OCTETS, json.dumps({ADDRESS: GOOD_ROW, MARK + "@x.example": GOOD_ROW}).encode()),
    "JSON whose name is an object": (JSON, as_json({"name": {NAME: ADDRESS}, "email": [ADDRESS]})),
    "a JSON file that is cut": (OCTETS, as_json(GOOD_ROW)[:-9]),
    "a JSON file of rows without names": (OCTETS, json.dumps([{NAME: ADDRESS}]).encode()),
    "NDJSON": (NDJSON, LINE + json.dumps(BAD_ROW).encode()),
    "NDJSON with bad lines": (NDJSON, LINE + LINE[:-9] + b"\n" + LINE.replace(b'"name": ', b'"name" ')),
    "NDJSON without one good line": (NDJSON, LINE[:-9] + b"\n" + LINE.replace(b"@", b" at ")),
    "vCard": ("text/vcard", as_vcard(NAME, ADDRESS) + as_vcard(NAME, BAD_ADDRESS)),
    "vCard that is cut": ("text/vcard", as_vcard(NAME, ADDRESS) + as_vcard(NAME, ADDRESS)[:-20]),
    "vCard among other text": ("text/vcard", f"{NAME} {ADDRESS}\n".encode() + as_vcard(NAME, ADDRESS)),
    "XLSX": (OCTETS, saved(["name", "email"], [NAME, ADDRESS], [NAME, BAD_ADDRESS])),
    "XLSX without a header row": (OCTETS, saved([NAME, ADDRESS], [NAME, ADDRESS])),
    "XLSX that is cut": (OCTETS, saved(["name", "email"], [NAME, ADDRESS])[:-200]),
}


def told(web: Web, *answers: requests.Response) -> dict[str, str]:
    """What others may read of requests: logs, metrics, the job's fate, and headers; refusals as a whole."""
    found = {"web log": web.log(), "metrics": web.get("/metrics").text}
    for number, answer in enumerate(answers):
        found[f"headers {number}"] = str(answer.headers)
        if answer.status_code >= 400:
            found[f"answer {number}"] = answer.text
    return found


def leaks(told: Mapping[str, str], mark: str = MARK) -> dict[str, list[str]]:
    """Where the mark is, and the lines in which it is."""
    lines = {place: [line for line in text.splitlines() if mark in line.lower()] for place, text in told.items()}
    return {place: found for place, found in lines.items() if found}


@pytest.mark.parametrize("case", MARKED)
def test_contacts_are_in_no_log_metric_error_or_header(case: str, web: Web, worker_log: Callable[[], str]) -> None:
    media_type, content = MARKED[case]
    headers = {"Content-Type": media_type, "X-Source": "crm"}
    sent = web.post(data=content, headers=headers)
    looked_at = web.post("/import/preview", data=content, headers=headers)
    form = web.post(files={"file": ("contacts", content, media_type)}, data={"source": "crm"})
    said = {"worker log": worker_log(), **told(web, sent, looked_at, form)}
    for number, answer in enumerate((sent, form)):
        if answer.status_code == 200:
            job = web.job(answer.json()["jobId"])
            assert job["finishedAt"]
            said[f"job {number}"] = json.dumps({name: job[name] for name in ("error", "issues")})
    assert leaks(said) == {}


def test_an_address_that_is_asked_for_or_erased_is_in_no_log_metric_error_or_header(
    web: Web, connection: db.Connection
) -> None:
    connection.execute(
        "INSERT INTO contacts (name, email, source) VALUES ('A', %(a)s, 's'), ('B', %(a)s, 's')", {"a": ADDRESS}
    )
    sent = [web.get("/contacts", params={"email": ADDRESS, "limit": 1})]
    assert sent[0].headers["Link"]
    for method in ("GET", "DELETE"):
        for query in (
            f"?email={ADDRESS}",
            f"?email={BAD_ADDRESS}",
            f"?email={MARK}+1@x.example",
            f"?email={ADDRESS}&x=1",
        ):
            sent.append(web.request(method, f"/contacts{query}"))
    assert [answer.status_code for answer in sent] == [200, 200, 400, 400, 400, 200, 400, 400, 400]
    assert leaks(told(web, *sent)) == {}


def test_what_is_marked_would_be_found(web: Web) -> None:
    """The tests above are worth what the search finds: a job shows its source, an error the parameter's name."""
    answer = web.post(f"/import?{MARK}=1", data=TABLE, headers={"Content-Type": CSV})
    assert [*leaks(told(web, answer))] == ["answer 0"]


# What else a client sends.


def test_names_of_files_parameters_and_headers_are_in_no_log_metric_or_key(
    web: Web, worker_log: Callable[[], str], connection: db.Connection, stored_files: Callable[[], list[Path]]
) -> None:
    path, secret = f"/home/{MARK}/{MARK}.csv", f"{MARK}-secret-of-20-characters"
    headers = dict.fromkeys(("Authorization", "X-API-Key", "Cookie", "User-Agent", "Referer", "X-Real-IP"), secret)
    headers |= {"Authorization": f"Bearer {secret}", "Idempotency-Key": secret, "Upload-Metadata": f"filename {secret}"}
    named = {"Content-Type": CSV, "X-Source": MARK, "Content-Disposition": f'attachment; filename="{path}"', **headers}
    answers = [
        web.post(data=TABLE, headers=named),
        web.post(
            files={"file": (path, TABLE, CSV)},
            data={"source": MARK},
            headers={**headers, "Idempotency-Key": f"{secret}-of-another"},
        ),
        web.post(data=TABLE, headers={**named, "Content-Type": f"text/{MARK}"}),
        web.post(f"/import?sheet={MARK}", data=TABLE, headers=named),
        web.post(f"/import?token={secret}&{MARK}={MARK}", data=TABLE, headers=named),
        web.get(f"/jobs?source={MARK}&token={secret}", headers=headers),
        web.get(f"/{MARK}/{MARK}?{MARK}={MARK}", headers=headers),
        web.request(MARK.upper(), "/jobs", headers=headers),
        web.get("/jobs", headers={"Host": f"{MARK}.example", **headers}),
        web.get(
            "/jobs", headers={"X-Forwarded-For": MARK, "X-Forwarded-Host": MARK, "X-Forwarded-Prefix": "//" + MARK}
        ),
    ]
    assert leaks({str(path): str(path) for path in stored_files()}) == {}
    assert leaks({"worker log": worker_log(), "web log": web.log(), "metrics": web.get("/metrics").text}) == {}
    for answer in answers[:2]:
        assert web.job(answer.json()["jobId"])["state"] == "succeeded"
    keys = [row["object_key"] for row in connection.execute("SELECT object_key FROM jobs").fetchall()]
    assert all(UUID(key.partition(".")[0]) and key.partition(".")[2] in ("csv", "bin") for key in keys)


def test_no_secret_setting_is_in_a_log_or_answer(start_web: Callable[..., Web]) -> None:
    key = f"{MARK}-service-key"
    port = free_port()
    web = start_web(
        DATABASE_URL=f"postgresql://{MARK}-user:{MARK}-password@127.0.0.1:{port}/{MARK}-database",
        SUPABASE_URL=f"http://127.0.0.1:{free_port()}",
        SUPABASE_SERVICE_ROLE_KEY=key,
        UPLOAD_RETRY_SECONDS="0",
    )
    answers = [
        web.get("/health"),
        web.get("/jobs"),
        web.post(data=TABLE, headers={"Content-Type": CSV, "X-Source": "a"}),
    ]
    assert [answer.status_code for answer in answers] == [503] * 3
    for secret in (key, f"{MARK}-password"):
        assert leaks(told(web, *answers), secret) == {}


# Headers.

SPLITTERS = ["\r\nX-Evil: 1", "\nX-Evil: 1", "\rX-Evil: 1", "\r\n\r\n<html>", "%0d%0aX-Evil:%201", "%0aX-Evil:1"]
SPLITTERS += ["\u560d\u560aX-Evil: 1", "\x85X-Evil: 1", "\u2028X-Evil: 1", "\0X-Evil: 1", "\x1b[31m"]


def ask(web: Web, head: str, body: bytes = b"") -> bytes:
    """The whole answer to a request written by hand."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as line:
        line.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)
        return b"".join(iter(lambda: line.recv(65536), b""))


def check_whole(answer: bytes) -> None:
    """One answer, whose head has no line of the client's."""
    head, separator, _ = answer.partition(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 ") and separator
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    assert b"x-evil" not in names
    assert not set(head.replace(b"\r\n", b"")) & set(b"\r\n")
    assert b"<html>" not in head


@pytest.fixture
def whole_log(web: Web) -> Iterator[None]:
    """A line of the log for each thing that it tells."""
    yield
    for line in web.log().splitlines():
        assert set(json.loads(line)) >= {"time", "level", "message"}


@pytest.mark.parametrize(
    "name",
    [
        *("X-Request-Id", "Origin", "Host", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-For", "X-Source"),
        *("Content-Disposition", "Access-Control-Request-Headers", "Access-Control-Request-Method", "Accept"),
        *("Content-Type", "Content-Encoding", "X-Mapping", "Authorization"),
    ],
)
def test_no_header_splits_an_answer(name: str, web: Web, whole_log: None) -> None:
    for splitter in SPLITTERS:
        value = f'attachment; filename="a{splitter}b.csv"' if name == "Content-Disposition" else f"a{splitter}"
        others = {"Host": "test", "Content-Type": CSV, "X-Source": "crm", "Origin": "https://app.example", name: value}
        lines = "".join(f"{key}: {text}\r\n" for key, text in others.items())
        check_whole(ask(web, f"POST /import HTTP/1.1\r\n{lines}Content-Length: {len(TABLE)}\r\n", TABLE))
        check_whole(ask(web, f"OPTIONS /import HTTP/1.1\r\n{lines}"))
        check_whole(ask(web, f"GET /jobs?limit=1 HTTP/1.1\r\n{lines}"))


@pytest.mark.parametrize(
    "target",
    [
        *("/jobs?source={}&limit=1", "/v1/jobs?source={}&limit=1", "/jobs?cursor={}", "/jobs?state={}", "/jobs?{}=1"),
        *("/{}", "/jobs/{}", "/jobs/{}/rejects"),
    ],
)
def test_no_parameter_or_path_splits_an_answer(target: str, web: Web, whole_log: None) -> None:
    for splitter in SPLITTERS:
        for source in (f"a{splitter}", f"a{splitter}"):
            web.post(params={"source": source}, data=TABLE, headers={"Content-Type": CSV})
        path = target.format(quote(f"a{splitter}", safe="%"))
        for method in ("GET", "POST", "OPTIONS"):
            check_whole(ask(web, f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n"))


def test_a_link_to_the_next_page_keeps_the_source_encoded(web: Web) -> None:
    source = 'a\r\nX-Evil: 1">; rel="evil", <http://evil.example'
    for _ in range(2):
        answer = web.post(params={"source": source}, data=TABLE, headers={"Content-Type": CSV})
        assert answer.status_code == 200, answer.text
    listed = web.get("/jobs", params={"source": source, "limit": 1})
    link = re.fullmatch(r'<(/jobs\?source=a%0D%0AX-Evil[^<>",;\s]*)>; rel="next"', listed.headers["Link"])
    assert link
    assert len(web.get(link[1]).json()["jobs"]) == 1


# Paths.

TRAVERSALS = [
    "../../../etc/passwd",
    "..\\..\\evil.csv",
    "/etc/passwd",
    "C:\\evil.csv",
    "....//....//evil.csv",
    "~/.ssh/id",
]
TRAVERSALS += [
    "%2e%2e%2fevil.csv",
    "..%c0%afevil.csv",
    "evil.csv\0.png",
    ".",
    "..",
    "...",
    "",
    " ",
    "CON",
    "-rf",
    "$(id)",
]
TRAVERSALS += ["`id`", "a" * 5000, "é" * 300, "\u202egnp.exe", "a\r\nb", '"; rm -rf /', "<script>alert(1)</script>.csv"]


@pytest.mark.parametrize("name", TRAVERSALS)
def test_no_name_of_a_file_leads_anywhere(
    name: str, web: Web, state_folder: Path, stored_files: Callable[[], list[Path]]
) -> None:
    before = {path for path in state_folder.rglob("*") if path.is_file() and "objects" not in path.parts}
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("\r\n", "%0D%0A").replace("\0", "%00")
    head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n\r\n'.encode()
    form = {
        "data": head + TABLE + b"\r\n--edge--\r\n",
        "headers": {"Content-Type": "multipart/form-data; boundary=edge"},
    }
    extended = f"attachment; filename*=UTF-8''{quote(name)}"
    named = {"data": TABLE, "headers": {"Content-Type": CSV, "Content-Disposition": extended}}
    keys = []
    for arguments in (form, named):
        arguments["headers"]["X-Source"] = "crm"
        answer = web.post(**arguments)
        assert answer.status_code == 200, answer.text
        job = web.job(answer.json()["jobId"])
        keys.append(job["jobId"])
        shown = job["fileName"] or ""
        assert not set(shown) & set("/\\\r\n\0")
        assert shown.isprintable()
        assert len(shown) <= 255
    stored = stored_files()
    assert sorted(path.name.partition(".")[0] for path in stored) == sorted(keys)
    assert all(path.is_relative_to(state_folder / "objects") for path in stored)
    after = {path for path in state_folder.rglob("*") if path.is_file() and "objects" not in path.parts}
    assert after == before


# Statements.

INJECTIONS = [
    "'",
    '"',
    "\\'; --",
    "%s %(id)s %% $1 {0} :name",
    "' OR '1'='1",
    "'; DROP TABLE contacts; --",
    "') UNION SELECT version() --",
    "$$/*",
    "\\.\\N",
    "a\tb\r\nc",
    "\x01\x7f",
    "-1",
    "9" * 30,
    "\u0661",
    "\ud800",
    "\0",
]
#: Everything that a request can say in its head, beside what the other headers need to be looked at.
HEADERS = [f"X-{kebab_case(name)}" for name in OptionsSchema().fields]
HEADERS += ["X-Request-Id", "X-API-Key", "Authorization", "Idempotency-Key", "Content-Disposition", "Content-Encoding"]
HEADERS += [
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Offset",
    "Upload-Metadata",
    "Upload-Checksum",
    "Upload-Defer-Length",
]
HEADERS += [
    "X-HTTP-Method-Override",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "Origin",
    "Accept",
    "If-None-Match",
    "Range",
]
SOUND_HEADERS = {"X-Source": "crm", "Tus-Resumable": "1.0.0", "Upload-Length": "5"}
WITH_HEADERS = [("POST", "/import"), ("POST", "/import/preview"), ("POST", "/uploads"), ("GET", "/jobs")]
#: What no request of these may become.
BROKEN = {500, 502, 504}


@pytest.fixture
def app(make_config: Callable[..., Config]) -> Iterator[Any]:
    made = create_app(make_config(CORS_ORIGINS="*", RATE_LIMIT=1_000_000))
    yield made
    made.extensions["dataflow"].pool.close()


@pytest.fixture
def untouched(connection: db.Connection) -> Iterator[None]:
    """What is in the tables before is in them afterwards."""
    connection.execute("INSERT INTO contacts (name, email, source) VALUES ('Ann', 'ann@example.com', 'crm')")
    job = "INSERT INTO jobs (id, state, source, finished_at) VALUES (gen_random_uuid(), 'failed', 'kept', now())"
    connection.execute(job)
    tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname"
    before = connection.execute(tables).fetchall()
    yield
    assert connection.execute(tables).fetchall() == before
    assert connection.execute("SELECT name, email, source FROM contacts").fetchall() == [
        {"name": "Ann", "email": "ann@example.com", "source": "crm"}
    ]
    assert connection.execute("SELECT state FROM jobs WHERE source = 'kept'").fetchall() == [{"state": "failed"}]


def escaped(text: str) -> str:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="")


def parameters(method: str, path: str) -> Iterator[str]:
    """Those that the route takes; whatever has another name is refused for its name."""
    operation = described().find(method, path)
    for each in operation["parameters"] if operation else ():
        parameter = described().resolved(each)
        if parameter["in"] == "query":
            yield parameter["name"]


def targets(app: Any, payload: str) -> Iterator[tuple[str, str]]:
    """Method and path of every route, the payload wherever its path has a variable, and an id that nobody has."""
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}) if not rule.rule.startswith("/v1") else ():
            for value in {escaped(payload), "00000000-0000-0000-0000-000000000000"}:
                yield method, re.sub("<[^>]*>", value, rule.rule)


@pytest.mark.parametrize("payload", INJECTIONS)
def test_no_text_in_any_place_of_any_request_becomes_a_statement(
    payload: str, app: Any, untouched: None, connection: db.Connection
) -> None:
    client = app.test_client()
    text = escaped(payload)
    for method, path in targets(app, payload):
        names = [text, "debug", *parameters(method, path)] if text not in path else []
        for query in ["", *(f"?{name}={text}" for name in names)]:
            answer = client.open(path + query, method=method)
            assert answer.status_code not in BROKEN, (method, path, query, answer.text)
    as_header = payload.encode("utf-8", "surrogatepass").decode("latin-1")
    if not set(as_header) & set("\r\n\0"):
        for (method, path), name in product(WITH_HEADERS, HEADERS):
            headers = {**SOUND_HEADERS, name: as_header}
            answer = client.open(path, method=method, data=TABLE, headers=headers, content_type=CSV)
            assert answer.status_code not in BROKEN, (method, path, name, answer.text)
    document = json.dumps({"source": payload, "data": [{"name": payload, "email": payload}], payload: payload})
    assert client.post("/import", data=document, content_type=JSON).status_code not in BROKEN
    for name in OptionsSchema().fields:
        body = json.dumps({"source": "crm", "data": [{"name": "Ann", "email": "a@example.com"}], name: payload})
        assert client.post("/import", data=body, content_type=JSON).status_code not in BROKEN
    assert app.test_client().get("/jobs").status_code == 200


# COPY.

#: What means something to COPY, to a format on the way to it, or to whoever reads the rejects.
ESCAPES = [
    *(
        "\\.",
        "\\N",
        "\\",
        "\\\\",
        "a\\",
        "\\n",
        "\\t",
        "\\x41",
        "\\101",
        "\tb",
        "a\tb",
        "a\nb",
        "a\r\nb",
        "a\rb",
        '"',
        '""',
    ),
    *(
        "'",
        "a,b",
        "a;b",
        "a|b",
        '","',
        "\\,",
        "\x01",
        "\x7f",
        "\u2028",
        "😀",
        "=1+1",
        "@x",
        "NULL",
        "null",
        "{}",
        "{a,b}",
    ),
]

#: Those that are not white space alone.
SOURCES = [text for text in ESCAPES if text.strip()]


def cells(texts: list[str]) -> list[tuple[str, str]]:
    """Each text within a name, within an address, and alone in a name's place and in an address's."""
    inside = [(f"a{text}b", f'"x{number}"@example.com') for number, text in enumerate(texts)]
    return [*inside, *((text, "y@example.com") for text in texts), *(("Bad", f"x{text}") for text in texts)]


def vcard_text(text: str) -> str:
    for character, written in (
        ("\\", "\\\\"),
        (",", "\\,"),
        (";", "\\;"),
        ("\r\n", "\\n"),
        ("\n", "\\n"),
        ("\r", "\\n"),
    ):
        text = text.replace(character, written)
    return text


def no_control(text: str) -> bool:
    return all(character >= " " or character in "\t\n\r" for character in text)


WAYS: dict[str, tuple[str, Callable[[list[tuple[str, str]]], bytes]]] = {
    "JSON": (OCTETS, lambda rows: json.dumps([{"name": name, "email": email} for name, email in rows]).encode()),
    "NDJSON": (
        NDJSON,
        lambda rows: "\n".join(json.dumps({"name": name, "email": email}) for name, email in rows).encode(),
    ),
    "CSV": (CSV, lambda rows: as_csv(*rows)),
    "compressed CSV": (CSV, lambda rows: gzip.compress(as_csv(*rows))),
    "vCard": (
        "text/vcard",
        lambda rows: b"".join(as_vcard(vcard_text(name), vcard_text(email)) for name, email in rows),
    ),
    "XLSX": (OCTETS, lambda rows: saved(["name", "email"], *([name, email] for name, email in rows))),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_text_in_any_field_of_any_format_is_anything_but_text(
    way: str, web: Web, work_off: Callable[[], int], connection: db.Connection
) -> None:
    media_type, write = WAYS[way]
    rows = cells([text for text in ESCAPES if way != "XLSX" or no_control(text)])
    answer = web.post(params={"source": "crm"}, data=write(rows), headers={"Content-Type": media_type})
    assert answer.status_code == 200, answer.text
    work_off()
    job = web.job(answer.json()["jobId"])
    assert job["state"] == "succeeded", job["error"]
    assert job["rowsRead"] == len(rows)
    imported = connection.execute("SELECT name, email FROM contacts ORDER BY id").fetchall()
    rejected = connection.execute("SELECT original FROM rejects WHERE job_id = %s", [job["jobId"]]).fetchall()
    assert len(imported) + len(rejected) == len(rows)
    found = {(row["name"], row["email"]) for row in imported}
    inside = rows[: len(rows) // 3]
    if way in ("vCard", "XLSX"):
        # A line break in a card is \n, whichever it was; and workbooks have no other.
        inside = [(name.replace("\r\n", "\n").replace("\r", "\n"), email) for name, email in inside]
        found = {(name.replace("\r\n", "\n").replace("\r", "\n"), email) for name, email in found}
    assert set(inside) <= found
    assert not any(name == "Bad" for name, _ in found)
    for form in ("csv", "ndjson", "json"):
        assert web.get(f"/jobs/{job['jobId']}/rejects?format={form}").status_code == 200


@pytest.mark.parametrize("media_type", [CSV, JSON])
def test_no_source_is_anything_but_text(
    media_type: str, web: Web, work_off: Callable[[], int], connection: db.Connection
) -> None:
    for source in SOURCES:
        content = TABLE if media_type == CSV else json.dumps({"source": source, "data": [GOOD_ROW]}).encode()
        answer = web.post(
            params={"source": source} if media_type == CSV else {}, data=content, headers={"Content-Type": media_type}
        )
        assert answer.status_code == 200, answer.text
    work_off()
    found = connection.execute("SELECT source FROM contacts ORDER BY id").fetchall()
    assert sorted(row["source"] for row in found) == sorted(SOURCES)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "XLSX"])
def test_nul_is_a_refused_row_and_no_end(
    way: str, web: Web, work_off: Callable[[], int], connection: db.Connection
) -> None:
    media_type, write = WAYS[way]
    rows = [("Ann", "ann@example.com"), ("B\0b", "bob@example.com"), ("Cid", "cid@example.com")]
    answer = web.post(params={"source": "crm"}, data=write(rows), headers={"Content-Type": media_type})
    work_off()
    job = web.job(answer.json()["jobId"])
    assert (job["state"], job["rowsImported"], job["rowsRejected"]) == ("succeeded", 2, 1)
    names = connection.execute("SELECT name FROM contacts ORDER BY id").fetchall()
    assert [row["name"] for row in names] == ["Ann", "Cid"]


# Where it listens.


class Run(ChildProcess):
    """Everything that is embedded, as on somebody's own machine."""

    command = ("run",)

    def ready(self) -> bool:
        try:
            return bool(self.listening())
        except psutil.AccessDenied:
            # For a moment nobody but root may look into a process that becomes another program.
            return False

    def listening(self) -> set[str]:
        """The addresses at which it and all that it has started listen."""
        parent = psutil.Process(self.process.pid)
        found = set()
        for process in (parent, *parent.children(recursive=True)):
            try:
                connections = process.net_connections("inet")
            except psutil.NoSuchProcess:
                continue
            found |= {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}
        return found


def test_what_is_embedded_is_reached_from_this_machine_only(tmp_path: Path) -> None:
    port = free_port()
    run = Run.start({"DATA_DIR": tmp_path / "state", "PORT": port, "WORKER_METRICS_PORT": 0})
    try:
        # gunicorn listens before its processes can answer: on a busy machine that takes longer than a client waits.
        assert requests.get(f"http://127.0.0.1:{port}/health", timeout=DEADLINE_SECONDS).status_code == 200
        assert run.listening() == {"127.0.0.1"}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)
    finally:
        run.stop()
