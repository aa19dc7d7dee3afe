"""What web pages may do with a service on somebody's own machine, and what requests may say of where they come from.

Over real HTTP: a page is told by the headers that browsers set and that no script can.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from dataflow import db
from tests.support.processes import Web

WEB_VARIABLES = {"HOST": "127.0.0.1"}
BODY = {"source": "crm", "data": [{"name": "Ann", "email": "ann@example.com"}]}
PAGE = "https://app.example.com"
NO_PREFLIGHT = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def behind_proxy(database: str, state_folder: Path) -> Iterator[Web]:
    """One that listens to this machine for a proxy's sake, and knows a page."""
    settings = {
        "HOST": "127.0.0.1",
        "TRUSTED_PROXIES": "10.0.0.0/8,127.0.0.1",
        "CORS_ORIGINS": f"http://x.org,{PAGE},http://[::1]:8080",
    }
    started = Web.start({"DATABASE_URL": database, "DATA_DIR": state_folder, **settings})
    yield started
    started.stop()


def own(web: Web) -> str:
    return f"http://127.0.0.1:{web.port}"


def send(web: Web, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.post(data=json.dumps(BODY), headers={**NO_PREFLIGHT, **named})


def raw(web: Web, head: str, body: bytes = b"") -> tuple[int, dict[str, Any] | None]:
    """Status and JSON of the answer to a request written by hand; None when it is none of ours."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as line:
        line.sendall(head.replace("\n", "\r\n").encode() + b"Connection: close\r\n\r\n" + body)
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    top, _, content = answer.partition(b"\r\n\r\n")
    is_json = b"content-type: application/json" in top.lower()
    return int(top.split()[1]), json.loads(content) if is_json else None


def is_refused(answer: requests.Response, code: str) -> bool:
    body = answer.json()
    return (answer.status_code, body["code"], body["status"]) == (403, code, 403) and bool(body["error"])


# Origins.


@pytest.mark.parametrize("origin", [PAGE, "null", "http://localhost.example.com", "chrome-extension://abc", ""])
def test_a_foreign_page_imports_nothing(web: Web, connection: db.Connection, origin: str) -> None:
    assert is_refused(send(web, Origin=origin), "foreign_origin")
    assert connection.execute("SELECT FROM jobs").fetchall() == []


def test_a_page_on_another_port_of_this_machine_is_foreign(web: Web) -> None:
    assert is_refused(send(web, Origin=f"http://127.0.0.1:{web.port + 1}"), "foreign_origin")
    assert is_refused(send(web, Origin="http://127.0.0.1"), "foreign_origin")


@pytest.mark.parametrize("path", ["/jobs", "/health", "/metrics", "/v1/jobs", "/nowhere"])
def test_a_foreign_page_reads_nothing(web: Web, path: str) -> None:
    assert is_refused(web.get(path, headers={"Origin": PAGE}), "foreign_origin")
    # An image or a script, for which browsers say no origin.
    cross = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    answer = web.get(path, headers=cross)
    assert is_refused(answer, "foreign_origin")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_preflight_of_a_foreign_page_is_refused(web: Web) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "DELETE"}
    assert is_refused(web.request("OPTIONS", "/jobs", headers=asked), "foreign_origin")


def test_its_own_page_and_programs_pass(web: Web) -> None:
    assert send(web).status_code == 200
    assert send(web, Origin=own(web), Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors").status_code == 200
    local = f"localhost:{web.port}"
    assert send(web, Host=local, Origin=f"http://{local}").status_code == 200
    assert web.get("/jobs", headers={"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}).status_code == 200


def test_a_link_on_a_foreign_page_leads_here_but_its_form_does_not(web: Web) -> None:
    navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert web.get("/jobs", headers=navigation).status_code == 200
    assert is_refused(web.post(data="x", headers={**navigation, **NO_PREFLIGHT, "Origin": PAGE}), "foreign_origin")
    assert is_refused(web.post(data="x", headers={**navigation, **NO_PREFLIGHT}), "foreign_origin")


def test_the_body_of_a_refused_import_is_not_read_for_long(web: Web) -> None:
    head = f"POST /import HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {PAGE}\r\nContent-Type: text/csv\r\n"
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as line:
        line.sendall(f"{head}Content-Length: 1000000000\r\n\r\n".encode() + b"name,email\n" * 1000)
        began = time.monotonic()
        answer = b"".join(iter(lambda: line.recv(65536), b""))
        seconds = time.monotonic() - began
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"connection: close" in answer.lower()
    assert seconds < 10


# Names.


@pytest.mark.parametrize(
    "host", ["evil.example:{port}", "evil.example", "0.0.0.0:{port}", "127.0.0.1.evil.example", "a@b"]
)
def test_a_foreign_name_that_leads_to_this_machine_is_refused(web: Web, host: str) -> None:
    name = host.format(port=web.port)
    # A page of that name is the same origin to its browser.
    page = {"Host": name, "Origin": f"http://{name}", "Sec-Fetch-Site": "same-origin"}
    for path in ("/jobs", "/health", "/metrics"):
        assert is_refused(web.get(path, headers=page), "foreign_host")
    assert is_refused(web.get("/jobs", headers={"Host": name, "Sec-Fetch-Mode": "navigate"}), "foreign_host")


@pytest.mark.parametrize(
    "host", ["localhost:{port}", "LOCALHOST", "127.0.0.1", "[::1]:{port}", "127.8.8.8:80", "localhost."]
)
def test_every_name_of_this_machine_is_known(web: Web, host: str) -> None:
    assert web.get("/jobs", headers={"Host": host.format(port=web.port)}).status_code == 200


def test_a_request_without_a_name_comes_from_no_page(web: Web) -> None:
    assert raw(web, "GET /jobs HTTP/1.0\n")[0] == 200
    assert raw(web, "GET /jobs HTTP/1.1\nHost:\n")[0] == 200


# Behind a proxy, and for pages that are named.


def test_behind_a_proxy_the_name_is_the_proxys(behind_proxy: Web) -> None:
    assert behind_proxy.get("/jobs", headers={"Host": "contacts.example.org"}).status_code == 200
    page = "https://contacts.example.org"
    assert send(behind_proxy, Host="contacts.example.org", Origin=page).status_code == 200
    forwarded = {"X-Forwarded-Host": "evil.example, contacts.example.org"}
    asked = {"Origin": page, **NO_PREFLIGHT}
    assert behind_proxy.post(json=BODY, headers={**asked, **forwarded}).status_code == 200
    assert is_refused(behind_proxy.post(json=BODY, headers={**asked, "X-Forwarded-Host": "a.b"}), "foreign_origin")


def test_the_headers_of_a_proxy_are_nothing_from_anybody_else(web: Web) -> None:
    answer = web.post(json=BODY, headers={"Origin": PAGE, "X-Forwarded-Host": "app.example.com"})
    assert is_refused(answer, "foreign_origin")


def test_a_named_page_is_answered_as_browsers_want_it(behind_proxy: Web) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-source"}
    preflight = behind_proxy.request("OPTIONS", "/import", headers={"Origin": PAGE, **asked})
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == PAGE
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert preflight.headers["Access-Control-Allow-Headers"].split(", ") == ["content-type", "x-source"]
    for answer in (
        send(behind_proxy, Origin=PAGE, Sec_Fetch_Site="cross-site"),
        behind_proxy.get("/nowhere", headers={"Origin": PAGE}),
    ):
        assert answer.status_code in (200, 404)
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Location" in answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in answer.headers["Vary"]


def preflight(web: Web, method: str, path: str = "/import", origin: str = PAGE, **headers: str) -> requests.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    return web.request("OPTIONS", path, headers={**asked, **{k.replace("_", "-"): v for k, v in headers.items()}})


def names(answer: requests.Response, header: str) -> set[str]:
    return {name.strip() for name in answer.headers.get(header, "").split(",")} - {""}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"])
def test_a_named_page_may_use_every_method_that_there_is(behind_proxy: Web, method: str) -> None:
    for path in ("/import", "/v1/jobs", "/nowhere"):
        answer = preflight(behind_proxy, method, path)
        assert (answer.status_code, answer.content) == (204, b"")
        assert names(answer, "Access-Control-Allow-Methods") == {"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"}
        assert answer.headers["Access-Control-Max-Age"] == "600"


@pytest.mark.parametrize("method", ["PUT", "TRACE", "EVIL", ""])
def test_other_methods_are_allowed_nobody(behind_proxy: Web, method: str) -> None:
    answer = preflight(behind_proxy, method)
    assert "PUT" not in names(answer, "Access-Control-Allow-Methods")
    assert method not in names(answer, "Access-Control-Allow-Methods") - {"GET"}


def test_a_named_page_may_send_what_a_tus_client_sends_and_read_what_it_needs(behind_proxy: Web) -> None:
    sent = "authorization,content-type,idempotency-key,tus-resumable,upload-checksum,upload-defer-length,upload-length,"
    sent += "upload-metadata,upload-offset,x-api-key,x-http-method-override,x-request-id"
    answer = preflight(behind_proxy, "PATCH", Access_Control_Request_Headers=sent)
    assert names(answer, "Access-Control-Allow-Headers") == set(sent.split(","))
    read = behind_proxy.get("/jobs", headers={"Origin": PAGE})
    assert names(read, "Access-Control-Expose-Headers") == {
        *("Location", "Link", "Retry-After", "X-Request-Id", "Content-Disposition", "ETag", "WWW-Authenticate"),
        *("Accept-Ranges", "Content-Range", "Repr-Digest"),
        *("RateLimit", "RateLimit-Policy", "Preference-Applied"),
        *("Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm"),
        *("Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Expires"),
    }


def test_cookies_are_never_asked_for(behind_proxy: Web) -> None:
    for answer in (preflight(behind_proxy, "POST"), behind_proxy.get("/jobs", headers={"Origin": PAGE})):
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("headers", [{}, {"Origin": PAGE}])
def test_an_options_that_is_no_preflight_reaches_its_route(behind_proxy: Web, headers: dict[str, str]) -> None:
    answer = behind_proxy.request("OPTIONS", "/import", headers=headers)
    assert answer.status_code == 200
    assert {"POST", "OPTIONS"} <= names(answer, "Allow")
    assert not names(answer, "Access-Control-Allow-Methods")
    assert behind_proxy.request("OPTIONS", "/nowhere", headers=headers).status_code == 404


def test_answers_that_need_no_permission_say_none(behind_proxy: Web) -> None:
    answer = behind_proxy.get("/jobs")
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("origin", "is_named"),
    [
        ("http://x.org", True),
        ("http://[::1]:8080", True),
        ("http://x.org.evil.example", False),
        ("http://x.org:80", False),
        ("http://xyorg", False),
        ("http://X.ORG", False),
        ("https://x.org", False),
        ("http://:8080", False),
        ("http://1:8080", False),
        ("http://x.org http://x.org", False),
    ],
)
def test_an_origin_is_named_to_the_letter(behind_proxy: Web, origin: str, is_named: bool) -> None:
    for answer in (
        behind_proxy.get("/jobs", headers={"Origin": origin}),
        preflight(behind_proxy, "GET", origin=origin),
    ):
        assert answer.headers.get("Access-Control-Allow-Origin") == (origin if is_named else None)
        assert answer.ok is is_named


def test_every_page_may_use_a_service_that_is_for_all(start_web: Callable[..., Web]) -> None:
    service = start_web(CORS_ORIGINS="*")
    for origin in (PAGE, "null", "chrome-extension://abc"):
        assert preflight(service, "POST", origin=origin).headers["Access-Control-Allow-Origin"] == origin
        assert (
            send(service, Origin=origin, Sec_Fetch_Site="cross-site").headers["Access-Control-Allow-Origin"] == origin
        )


def test_a_page_that_is_not_named_stays_out(behind_proxy: Web) -> None:
    answer = send(behind_proxy, Origin="http://app.example.com")
    assert is_refused(answer, "foreign_origin")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


# What a client says of the application itself.


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "Script_Name", "PATH_INFO", "REMOTE_USER"])
def test_a_header_cannot_move_the_application(web: Web, behind_proxy: Web, name: str) -> None:
    for service in (web, behind_proxy):
        host = f"Host: 127.0.0.1:{service.port}"
        status, body = raw(service, f"GET /public/jobs HTTP/1.1\n{host}\n{name}: /public\n")
        assert (status, body and body["code"]) == (404, "not_found")
        assert raw(service, f"GET /jobs HTTP/1.1\n{host}\n{name}: /elsewhere\n")[0] == 200


def test_contradicting_schemes_are_nobodys_business(web: Web) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"}
    assert web.get("/jobs", headers=forwarded).status_code == 200


@pytest.mark.parametrize("path", ["//jobs", "///jobs", "/v1//jobs", "//evil.example/jobs", "/jobs/", "/./jobs"])
def test_a_path_has_one_spelling_and_is_led_nowhere(web: Web, path: str) -> None:
    status, body = raw(web, f"GET {path} HTTP/1.1\nHost: 127.0.0.1\n")
    assert (status, body and body["code"]) == (404, "not_found")


def test_what_leads_on_names_no_host(web: Web, behind_proxy: Web) -> None:
    for host in ("evil.example", "evil.example/x?"):
        answer = send(behind_proxy, Host=host, X_Forwarded_Host="evil.example", X_Forwarded_Prefix="//evil.example")
        assert answer.headers["Location"] == f"/jobs/{answer.json()['jobId']}"
        send(behind_proxy)
        listed = behind_proxy.get("/jobs?limit=1", headers={"Host": host})
        assert listed.headers["Link"].startswith("</jobs?")
    absolute = raw(web, "GET http://evil.example/jobs HTTP/1.1\nHost: 127.0.0.1\n")
    assert absolute[0] == 200
    assert "evil" not in str(absolute[1])


def test_a_header_with_an_underscore_is_no_option(web: Web, connection: db.Connection) -> None:
    head = "POST /import HTTP/1.1\nHost: 127.0.0.1\nX_Source: crm\nContent-Type: text/csv\nContent-Length: 3\n"
    status, body = raw(web, head, b"a,b")
    assert (status, body and body["code"]) == (400, "invalid_request")
    assert connection.execute("SELECT FROM jobs").fetchall() == []


class Web6(Web):
    """The same on the other loopback address."""

    def __init__(self, variables: Mapping[str, object]) -> None:
        super().__init__(variables)
        self.url = f"http://[::1]:{self.port}"


def test_it_listens_where_host_says(database: str, state_folder: Path, web: Web) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no ::1")
    other = Web6.start({"DATABASE_URL": database, "DATA_DIR": state_folder, "HOST": "::1"})
    try:
        assert other.get("/jobs").status_code == 200
        assert is_refused(other.get("/jobs", headers={"Host": "evil.example"}), "foreign_host")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", other.port))
    finally:
        other.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", web.port))
