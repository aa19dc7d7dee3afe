"""Who may use which route: a table of all of them, and how keys and tokens are told from what is none."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
import requests

from dataflow import db
from dataflow.config import Config
from dataflow.ids import uuid7
from dataflow.web.app import create_app
from tests.support.flask_web import FlaskWeb
from tests.support.holders import ALL_KEY, CLOSED, CRM_KEY, SHOP_KEY, bearer, created_by, tampered, token

WEB_VARIABLES = CLOSED
THROUGH_FLASK = True
BODY = b"name,email\nAnn,ann@example.com\n"
CSV = {"Content-Type": "text/csv", "X-Source": "crm"}
UNKNOWN_KEY = "nobody-hunter2-hunter2-hunter2"

TOKEN, SIBLING = token(), token()
#: Everybody who may send a request about the source crm, and about a job that TOKEN has made.
HOLDERS: Mapping[str, str] = {
    "nobody": "",
    "unknown key": UNKNOWN_KEY,
    "key of all sources": ALL_KEY,
    "key of the source": CRM_KEY,
    "key of another source": SHOP_KEY,
    "token": TOKEN,
    "another token of the source": SIBLING,
    "token of another source": token("shop", "shop"),
    "expired token": token(seconds=-1),
    "tampered token": tampered(TOKEN),
    "token of a key that is gone": f"gone{TOKEN.removeprefix('crm')}",
    "token of a key that may not use its source": token("shop", "crm"),
}
STRANGERS = (
    *("nobody", "unknown key", "expired token", "tampered token"),
    *("token of a key that is gone", "token of a key that may not use its source"),
)


def statuses(everything: int, own: int, other: int, token: int, sibling: int, foreign: int) -> dict[str, int]:
    """Of a key of all sources, of this and of another; of the token itself, of another one and of another source's."""
    known = [name for name in HOLDERS if name not in STRANGERS]
    return {
        **dict.fromkeys(STRANGERS, 401),
        **dict(zip(known, (everything, own, other, token, sibling, foreign), strict=True)),
    }


def make_job(connection: db.Connection, state: str, kind: str = "import") -> UUID:
    """One of the source crm, which TOKEN has made; one that is uploading by tus."""
    job_id, is_over = uuid7(), state in ("succeeded", "failed", "cancelled")
    connection.execute(
        "INSERT INTO jobs "
        "(id, kind, state, source, object_key, bytes_total, digests, created_by, finished_at, expires_at) "
        "VALUES (%s, %s, %s, 'crm', 'k.csv', %s, '[[10, \"\"]]', %s, CASE WHEN %s THEN now() END, 'tomorrow')",
        [job_id, kind, state, None if state == "uploading" else 10, created_by(TOKEN), is_over],
    )
    return job_id


@dataclass(frozen=True)
class Route:
    """What is asked for, and what becomes of it: the status for each of HOLDERS."""

    expected: Mapping[str, int]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    query: str = ""
    job_state: str = "queued"  #: of the job that `{id}` is, made anew for each request
    job_kind: str = "import"


ABOUT_SOURCE = statuses(200, 200, 403, 200, 200, 403)
ABOUT_JOB = statuses(200, 200, 404, 200, 404, 404)
CHANGED = statuses(202, 202, 404, 202, 404, 404)
TUS = {"Tus-Resumable": "1.0.0"}
PATCH = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
SENT: Mapping[str, Any] = {"data": BODY, "headers": CSV}
#: Every route of the service. A new one fails a test until it is here.
ROUTES: Mapping[tuple[str, str], Route] = {
    ("POST", "/import"): Route(ABOUT_SOURCE, SENT),
    ("POST", "/import/preview"): Route(ABOUT_SOURCE, SENT),
    ("POST", "/uploads"): Route(
        statuses(201, 201, 403, 201, 201, 403), {"headers": {**TUS, "Upload-Length": "10"}}, "?source=crm"
    ),
    ("GET", "/uploads/{id}"): Route(ABOUT_JOB, job_state="uploading"),
    # The storage has nothing of it, of which only those hear who may know of the upload.
    ("PATCH", "/uploads/{id}"): Route(
        statuses(410, 410, 404, 410, 404, 404), {"headers": PATCH}, job_state="uploading"
    ),
    ("DELETE", "/uploads/{id}"): Route(statuses(204, 204, 404, 204, 404, 404), {"headers": TUS}, job_state="uploading"),
    ("GET", "/jobs"): Route(ABOUT_SOURCE, query="?source=crm"),
    ("GET", "/jobs/{id}"): Route(ABOUT_JOB),
    ("GET", "/jobs/{id}/rejects"): Route(ABOUT_JOB, job_state="succeeded"),
    # That of a job which has not ended would have no end either.
    ("GET", "/jobs/{id}/events"): Route(ABOUT_JOB, job_state="succeeded"),
    ("POST", "/jobs/{id}/cancel"): Route(CHANGED),
    ("POST", "/jobs/{id}/revert"): Route(CHANGED, job_state="succeeded"),
    ("POST", "/jobs/{id}/retry"): Route(statuses(202, 202, 404, 403, 403, 403), job_state="failed"),
    ("DELETE", "/jobs/{id}"): Route(statuses(204, 204, 404, 403, 403, 403), job_state="failed"),
    ("GET", "/contacts"): Route(statuses(200, 200, 403, 403, 403, 403), query="?source=crm"),
    ("DELETE", "/contacts"): Route(statuses(200, 200, 200, 403, 403, 403), query="?email=ann@example.com"),
    ("POST", "/tokens"): Route(statuses(201, 201, 403, 403, 403, 403), {"json": {"source": "crm"}}),
    ("GET", "/metrics"): Route(statuses(200, 200, 200, 403, 403, 403)),
    ("GET", "/exports"): Route(statuses(200, 200, 403, 403, 403, 403), query="?source=crm"),
    ("POST", "/exports"): Route(statuses(202, 202, 403, 403, 403, 403), query="?source=crm"),
    ("GET", "/exports/{id}"): Route(statuses(200, 200, 404, 403, 403, 403), job_kind="export"),
    # It is not kept any more, of which only those hear who may know of the export.
    ("GET", "/exports/{id}/file"): Route(
        statuses(410, 410, 404, 403, 403, 403), job_state="succeeded", job_kind="export"
    ),
    ("GET", "/health"): Route(dict.fromkeys(HOLDERS, 200)),
    ("GET", "/openapi.json"): Route(dict.fromkeys(HOLDERS, 200)),
    ("GET", "/postman.json"): Route(dict.fromkeys(HOLDERS, 200)),
    ("GET", "/ui"): Route(dict.fromkeys(HOLDERS, 200)),
    ("GET", "/ui/{name}"): Route(dict.fromkeys(HOLDERS, 200)),
}
#: Those that are there once only.
UNVERSIONED = {"/metrics", "/health"}


def routes_of_the_service() -> Iterator[tuple[str, str]]:
    for rule in create_app(Config.from_env(CLOSED)).url_map.iter_rules():
        path = rule.rule.replace("<uuid:job_id>", "{id}").replace("<name>", "{name}")
        yield from ((method, path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"})


@pytest.mark.unit
def test_every_route_is_in_the_table() -> None:
    versioned = {(method, f"/v1{path}") for method, path in ROUTES if path not in UNVERSIONED}
    unknown = set(routes_of_the_service()) - ROUTES.keys() - versioned
    assert not unknown, f"who may use {sorted(unknown)}? Say so in ROUTES of {__file__}."
    assert set(routes_of_the_service()) == ROUTES.keys() | versioned


@pytest.mark.parametrize(
    ("method", "path", "prefix"),
    [(*route, prefix) for route in ROUTES for prefix in ("", "/v1") if not prefix or route[1] not in UNVERSIONED],
)
def test_each_route_is_for_whom_the_table_says(
    method: str, path: str, prefix: str, web: FlaskWeb, connection: db.Connection
) -> None:
    route, found = ROUTES[method, path], {}
    for name, text in HOLDERS.items():
        job_id = make_job(connection, route.job_state, route.job_kind)
        headers = {**route.arguments.get("headers", {}), **(bearer(text) if text else {})}
        answer = web.request(
            method,
            prefix + path.format(id=job_id, name="start.js") + route.query,
            **{**route.arguments, "headers": headers},
        )
        found[name] = answer.status_code
        if answer.status_code in (401, 403, 404):
            check_refusal(answer)
            after = connection.execute("SELECT state FROM jobs WHERE id = %s", [job_id]).fetchone()
            assert after == {"state": route.job_state}, name
    assert found == route.expected


CODES = {401: ("unauthorized", "token_expired"), 403: ("forbidden",), 404: ("job_not_found", "upload_not_found")}


def check_refusal(answer: requests.Response) -> None:
    body = answer.json()
    assert body["code"] in CODES[answer.status_code]
    assert ("WWW-Authenticate" in answer.headers) == (answer.status_code == 401)
    assert not any(text and text in answer.text + str(answer.headers) for text in HOLDERS.values())


def code_of(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


# How a key or token is sent.


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {CRM_KEY}"},
        {"Authorization": f"bearer   {CRM_KEY}"},
        {"X-API-Key": CRM_KEY},
        {"x-api-key": f"{CRM_KEY} "},
        {"Authorization": f"Bearer {CRM_KEY}", "X-API-Key": CRM_KEY},
        {"Authorization": "Basic dXNlcjpwYXNz", "X-API-Key": CRM_KEY},
    ],
)
def test_a_key_comes_in_either_header(headers: dict[str, str], web: FlaskWeb) -> None:
    assert web.get("/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": CRM_KEY},
        {"Authorization": f"Basic {CRM_KEY}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {CRM_KEY}x"},
        {"Authorization": f"Bearer {CRM_KEY[:-1]}"},
        {"Authorization": f"Bearer {CRM_KEY.upper()}"},
        {"Authorization": f"Bearer {CRM_KEY},{SHOP_KEY}"},
        {"Authorization": f"Bearer crm:{CRM_KEY}"},
        {"X-API-Key": ""},
        {"X-API-Key": "\u00e4" * 30},
        {"X-API-Key": "~"},
        {"X-API-Key": "crm~"},
        {"X-API-Key": "crm~.."},
        {"X-API-Key": "crm~\u00e4.b"},
        {"Cookie": f"key={CRM_KEY}"},
        {"Authorization": f"Bearer {CRM_KEY}", "X-API-Key": SHOP_KEY},
        {"Authorization": f"Bearer {CRM_KEY}", "X-API-Key": "x"},
    ],
)
def test_what_is_no_key_opens_nothing(headers: dict[str, str], web: FlaskWeb) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}
    answer = web.get("/jobs", headers=encoded)
    assert code_of(answer) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="DataFlow"'


def test_a_token_may_be_in_the_address_and_a_key_must_not(web: FlaskWeb) -> None:
    assert web.get(f"/jobs?token={TOKEN}").status_code == 200
    assert web.get(f"/jobs?token={TOKEN}", headers=bearer(TOKEN)).status_code == 200
    assert code_of(web.get(f"/jobs?token={TOKEN}", headers=bearer(CRM_KEY))) == (401, "unauthorized")
    for key in (CRM_KEY, ALL_KEY):
        answer = web.get(f"/jobs?token={key}")
        assert code_of(answer) == (401, "unauthorized")
        assert "key must not be in an address" in answer.json()["error"]
        assert key not in answer.text
    for nothing in ("", "x", UNKNOWN_KEY, "%FF", "%ED%A0%80", tampered(TOKEN), f"{TOKEN}&token={SIBLING}"):
        assert code_of(web.get(f"/jobs?token={nothing}")) == (401, "unauthorized")
    assert code_of(web.get(f"/jobs?token={token(seconds=-1)}")) == (401, "token_expired")


def test_who_asks_for_what_is_not_there_is_known_first(web: FlaskWeb) -> None:
    for path in ("/nowhere", "/jobs/1", "/v1", "/", "/ui2", "/healthy", "/v1/metrics", "/openapi.json/x"):
        assert web.get(path).status_code == 401, path
        assert web.get(path, headers=bearer(ALL_KEY)).status_code == 404
        assert code_of(web.get(path, headers=bearer(TOKEN))) == (403, "forbidden")
    for method in ("PATCH", "HEAD", "TRACE", "BREW"):
        assert web.request(method, "/jobs").status_code == 401
    assert web.request("PATCH", "/jobs", headers=bearer(ALL_KEY)).status_code == 405


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("path", ["/health", "/ui", "/ui/", "/ui/page.js", "/openapi.json", "/postman.json"])
def test_what_has_no_secrets_is_open(path: str, prefix: str, web: FlaskWeb) -> None:
    assert web.get(prefix + path).status_code in (200, 404)


def test_options_is_open(web: FlaskWeb) -> None:
    for path in ("/jobs", "/import", "/v1/tokens", "/metrics"):
        answer = web.request("OPTIONS", path)
        assert answer.status_code == 200
        assert "OPTIONS" in answer.headers["Allow"]


# A service without keys, and the key of the metrics.


@pytest.fixture
def open_web(database: str, state_folder: object) -> Iterator[Callable[..., FlaskWeb]]:
    started: list[FlaskWeb] = []

    def start(**variables: str) -> FlaskWeb:
        started.append(FlaskWeb({"DATABASE_URL": database, "DATA_DIR": state_folder, **variables}))
        return started[-1]

    yield start
    for web in started:
        web.stop()


@pytest.mark.parametrize("api_keys", ["", "open"])
def test_without_keys_everything_is_open_to_everybody_whatever_he_sends(
    api_keys: str, open_web: Callable[..., FlaskWeb], connection: db.Connection
) -> None:
    web = open_web(API_KEYS=api_keys)
    for headers in ({}, bearer(CRM_KEY), bearer("x"), bearer(TOKEN)):
        job_id = web.post(data=BODY, headers={**CSV, **headers}).json()["jobId"]
        job = web.get(f"/jobs/{job_id}", headers=headers).json()
        assert (job["createdBy"], job["source"]) == (None, "crm")
        assert web.get("/metrics", headers=headers).status_code == 200
    assert code_of(web.post("/tokens", json={"source": "crm"})) == (404, "not_found")
    # Whoever gives somebody a token wants no more of him than that.
    assert code_of(web.get(f"/jobs?token={TOKEN}")) == (401, "unauthorized")


def test_without_keys_a_secret_makes_tokens(open_web: Callable[..., FlaskWeb]) -> None:
    web = open_web(API_KEYS="open", TOKEN_SECRET=CLOSED["TOKEN_SECRET"])
    made = web.post("/tokens", json={"source": "crm"}).json()["token"]
    job_id = web.post(data=BODY, headers={"Content-Type": "text/csv", **bearer(made)}).json()["jobId"]
    assert web.get(f"/jobs/{job_id}").json()["createdBy"].startswith("#")
    assert web.post(f"/jobs/{job_id}/cancel", headers=bearer(made)).status_code == 202
    assert code_of(web.request("DELETE", f"/jobs/{job_id}", headers=bearer(made))) == (403, "forbidden")
    assert web.request("DELETE", f"/jobs/{job_id}").status_code == 204
    for bad in (tampered(made), TOKEN):
        assert code_of(web.get("/jobs", headers=bearer(bad))) == (401, "unauthorized")
    assert web.get("/jobs", headers=bearer(CRM_KEY)).status_code == 200


@pytest.mark.parametrize("api_keys", ["open", CLOSED["API_KEYS"]])
def test_the_metrics_may_have_a_key_of_their_own(api_keys: str, open_web: Callable[..., FlaskWeb]) -> None:
    key = "metrics-hunter2-hunter2"
    web = open_web(API_KEYS=api_keys, METRICS_KEY=key)
    assert code_of(web.get("/metrics")) == (401, "unauthorized")
    assert code_of(web.get("/metrics", headers=bearer(UNKNOWN_KEY))) == (401, "unauthorized")
    assert code_of(web.get(f"/metrics?token={key}")) == (401, "unauthorized")
    assert web.get("/metrics", headers=bearer(key)).status_code == 200
    assert web.get("/metrics", headers={"X-API-Key": key}).status_code == 200
    if api_keys != "open":
        for other in (ALL_KEY, token()):
            expected = (403, "forbidden") if other == ALL_KEY else (401, "unauthorized")
            assert code_of(web.get("/metrics", headers=bearer(other))) == expected
        assert code_of(web.get("/jobs", headers=bearer(key))) == (401, "unauthorized")


def test_a_page_may_ask_whether_it_may_ask_and_reads_why_not(open_web: Callable[..., FlaskWeb]) -> None:
    page = "https://app.example.com"
    web = open_web(**CLOSED, CORS_ORIGINS=page)
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = web.request("OPTIONS", "/import", headers={"Origin": page, **asked})
    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (204, page)
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
    refused = web.post(data=BODY, headers={**CSV, "Origin": page})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, page)
    assert code_of(web.get("/jobs", headers={"Origin": "https://evil.example"})) == (403, "foreign_origin")


# What a key with sources sees.


def send(web: FlaskWeb, key: str, source: str) -> str:
    answer = web.post(data=BODY, headers={"Content-Type": "text/csv", "X-Source": source, **bearer(key)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["jobId"])


def listed(web: FlaskWeb, key: str, query: str = "") -> list[str]:
    answer = web.get(f"/jobs{query}", headers=bearer(key))
    assert answer.status_code == 200, answer.text
    return [job["jobId"] for job in answer.json()["jobs"]]


def test_jobs_keep_the_name_of_the_key(web: FlaskWeb, connection: db.Connection) -> None:
    first, second = send(web, ALL_KEY, "leads"), send(web, CRM_KEY, "crm")
    shown = web.get("/jobs", headers=bearer(ALL_KEY)).json()["jobs"]
    assert [(job["jobId"], job["createdBy"]) for job in shown] == [(second, "crm"), (first, "all")]
    connection.execute("UPDATE jobs SET state = 'succeeded', bytes_done = 0")
    reverted = web.post(f"/jobs/{first}/revert", headers=bearer(CRM_KEY)).json()
    assert (reverted["kind"], reverted["createdBy"]) == ("revert", "crm")


def test_a_key_with_sources_lists_their_jobs_whoever_has_sent_them(web: FlaskWeb) -> None:
    crm, shop, leads, other = (send(web, ALL_KEY, source) for source in ("crm", "shop", "leads", "elsewhere"))
    assert listed(web, ALL_KEY) == [other, leads, shop, crm]
    assert listed(web, CRM_KEY) == [leads, crm]
    assert listed(web, CRM_KEY, "?source=leads") == [leads]
    assert listed(web, CRM_KEY, "?state=succeeded") == []
    assert listed(web, CRM_KEY, "?state=queued") == [leads, crm]
    assert listed(web, CRM_KEY, f"?cursor={leads}") == [crm]
    assert listed(web, SHOP_KEY) == [shop]
    assert listed(web, SHOP_KEY, "?limit=1") == [shop]


def test_the_pages_of_a_scope_are_as_complete_as_those_of_all(web: FlaskWeb) -> None:
    sent = [send(web, ALL_KEY, ("crm", "leads", "shop")[number % 3]) for number in range(12)]
    expected = [job_id for number, job_id in enumerate(sent) if number % 3 < 2][::-1]
    found, path = [], "/jobs?limit=3"
    while path:
        answer = web.get(path, headers=bearer(CRM_KEY))
        found += [job["jobId"] for job in answer.json()["jobs"]]
        path = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert found == expected


def test_an_upload_that_has_not_said_its_source_is_its_senders(web: FlaskWeb, connection: db.Connection) -> None:
    job_id = uuid7()
    connection.execute(
        "INSERT INTO jobs (id, state, object_key, created_by, heartbeat_at) "
        "VALUES (%s, 'uploading', 'k', 'crm', now())",
        [job_id],
    )
    for key, is_seen in ((ALL_KEY, True), (CRM_KEY, True), (SHOP_KEY, False), (TOKEN, False)):
        assert web.get(f"/jobs/{job_id}", headers=bearer(key)).status_code == (200 if is_seen else 404)
        assert listed(web, key) == [str(job_id)] * is_seen
    assert listed(web, CRM_KEY, "?source=crm") == []
    assert web.post(f"/jobs/{job_id}/cancel", headers=bearer(SHOP_KEY)).status_code == 404
    assert web.post(f"/jobs/{job_id}/cancel", headers=bearer(CRM_KEY)).status_code == 202


ROW = {"name": "Ann", "email": "ann@example.com"}
FOREIGN: Mapping[str, dict[str, Any]] = {
    "header": {"data": BODY, "headers": {**CSV, "X-Source": "shop"}},
    "query": {"data": BODY, "headers": {"Content-Type": "text/csv"}, "params": {"source": "shop"}},
    "field before the file": {"files": {"file": ("a.csv", BODY)}, "data": {"source": "shop"}},
    "member": {"json": {"source": "shop", "data": [ROW]}},
    "member behind the rows": {"json": {"data": [ROW], "source": "shop"}},
    "member below a header": {"json": {"data": [ROW], "source": "shop"}, "headers": {"X-Source": "crm"}},
    "member of what the worker judges": {"json": {"data": [ROW], "onInvalid": "skip", "source": "shop"}},
}


@pytest.mark.parametrize("path", ["/import", "/v1/import", "/import/preview"])
@pytest.mark.parametrize("place", FOREIGN)
def test_a_source_of_others_is_refused_wherever_it_is_named_and_nothing_is_left(
    place: str, path: str, web: FlaskWeb, connection: db.Connection, stored_files: Callable[[], list[object]]
) -> None:
    arguments = FOREIGN[place]
    for holder in (CRM_KEY, TOKEN):
        headers = {**arguments.get("headers", {}), **bearer(holder)}
        answer = web.post(path, **{**arguments, "headers": headers})
        assert code_of(answer) == (403, "forbidden"), answer.text
    assert connection.execute("SELECT FROM jobs").fetchall() == []
    assert stored_files() == []


def test_a_source_of_others_behind_a_large_file_leaves_nothing(
    web: FlaskWeb, connection: db.Connection, stored_files: Callable[[], list[object]]
) -> None:
    rows = [{"name": f"N{number}", "email": f"n{number}@example.com"} for number in range(50_000)]
    for arguments in (
        {
            "data": json.dumps({"data": rows, "source": "shop"}).encode(),
            "headers": {"Content-Type": "application/json"},
        },
        {"data": form(b"name,email\n" + b"Ann,ann@example.com\n" * 400_000, "shop"), "headers": {"Content-Type": FORM}},
    ):
        headers = {**arguments["headers"], **bearer(CRM_KEY)}  # type: ignore[dict-item]
        assert code_of(web.post(data=arguments["data"], headers=headers)) == (403, "forbidden")
    assert connection.execute("SELECT FROM jobs").fetchall() == []
    assert stored_files() == []


FORM = "multipart/form-data; boundary=x"


def form(content: bytes, source: str) -> bytes:
    """With the source behind the file."""
    file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + content
    field = f'\r\n--x\r\nContent-Disposition: form-data; name="source"\r\n\r\n{source}\r\n--x--\r\n'
    return file + field.encode()
