"""Behind a proxy: every link leads through it, its clients are told apart, and nobody else says where that is.

By which address a client is known shows where its requests are counted.
"""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dataflow import db
from tests.support.processes import Web

BODY = {"source": "crm", "data": [{"name": "Ann", "email": "ann@example.com"}]}
#: What is no path, or would lead elsewhere.
UNUSABLE = ("", "/", "contacts", "//evil.example", "/a//b", "https://evil.example/x", "/..", "/a/../b", "/./a", "/a?b")
UNUSABLE += ("/a#b", "/a b", "/a\\b", "/%2e%2e", "/é", "/a;b", "/" + 200 * "a", "/a, //evil.example", "/a,")


@pytest.fixture(scope="module")
def behind_proxy(database: str, state_folder: Path) -> Iterator[Web]:
    settings = {"TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8", "WEB_CONCURRENCY": 1, "RATE_LIMIT": 1000}
    started = Web.start({"DATABASE_URL": database, "DATA_DIR": state_folder, **settings})
    yield started
    started.stop()


def links(web: Web, prefix: str, root: str = "") -> list[str]:
    """Where two imports and what is listed then lead."""
    headers = {"X-Forwarded-Prefix": prefix.encode().decode("latin-1")}
    found = []
    for _ in range(2):
        answer = web.post(f"{root}/import", json=BODY, headers=headers)
        assert answer.status_code == 200, answer.text
        found.append(answer.headers["Location"])
    listed = web.get(f"{root}/jobs?limit=1", headers=headers)
    job: dict[str, Any] = listed.json()["jobs"][0]
    retried = web.post(f"{root}/jobs/{job['jobId']}/cancel", headers=headers)
    return [*found, listed.links["next"]["url"], *job["links"].values(), *retried.json()["links"].values()]


@pytest.mark.parametrize(
    ("given", "prefix"),
    [
        ("/contacts", "/contacts"),
        ("/team/contacts-api/", "/team/contacts-api"),
        ("/evil, /contacts_2.0", "/contacts_2.0"),
        ("/v1", "/v1"),
    ],
)
def test_links_begin_with_the_prefix_of_a_trusted_proxy(behind_proxy: Web, given: str, prefix: str) -> None:
    for root in ("", "/v1"):
        found = links(behind_proxy, given, root)
        assert len(found) > 5
        assert all(link.startswith(f"{prefix}{root}/jobs") for link in found), found


@pytest.mark.parametrize("given", UNUSABLE)
def test_what_is_no_path_is_no_prefix(behind_proxy: Web, given: str) -> None:
    assert all(link.startswith("/jobs") for link in links(behind_proxy, given))


def test_nobody_else_says_where_the_service_is(web: Web) -> None:
    assert all(link.startswith("/jobs") for link in links(web, "/evil"))


@pytest.fixture
def callers(connection: db.Connection) -> Callable[[], set[str]]:
    """Who has been counted since the last look."""

    def look() -> set[str]:
        return {row["caller"] for row in connection.execute("DELETE FROM rate_limits RETURNING caller").fetchall()}

    return look


@pytest.mark.parametrize(
    ("forwarded", "caller"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("1.1.1.1, 192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("[2001:db8::7]:4711", "2001:db8::/64"),
        ("::1%'; DROP TABLE jobs; --", "127.0.0.1"),
        ("192.0.2.7, unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_a_client_is_known_by_the_address_that_a_trusted_proxy_names(
    behind_proxy: Web, callers: Callable[[], set[str]], forwarded: str, caller: str
) -> None:
    assert behind_proxy.get("/jobs", headers={"X-Forwarded-For": forwarded}).status_code == 200
    assert callers() == {f"address:{caller}"}


def test_what_another_header_says_of_the_client_is_nothing(behind_proxy: Web, callers: Callable[[], set[str]]) -> None:
    for name in ("Forwarded", "X-Real-IP", "X-Client-IP", "CF-Connecting-IP", "True-Client-IP", "Remote-Addr"):
        value = "for=192.0.2.7" if name == "Forwarded" else "192.0.2.7"
        assert behind_proxy.get("/jobs", headers={name: value}).status_code == 200
    assert callers() == {"address:127.0.0.1"}


def test_several_headers_are_one_list(behind_proxy: Web, callers: Callable[[], set[str]]) -> None:
    lines = ["GET /jobs HTTP/1.1", "Host: test", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 192.0.2.7"]
    with socket.create_connection(("127.0.0.1", behind_proxy.port), timeout=20) as line:
        line.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        assert b"".join(iter(lambda: line.recv(65536), b"")).startswith(b"HTTP/1.1 200 ")
    assert callers() == {"address:192.0.2.7"}


def test_a_proxy_behind_a_proxy_may_still_name_the_host(behind_proxy: Web) -> None:
    """Whose headers count is decided by who has asked, not by whom that one names."""
    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Host": "contacts.example.org"}
    page = {"Origin": "https://contacts.example.org"}
    assert behind_proxy.post("/import", json=BODY, headers={**page, **forwarded}).status_code == 200


def test_an_address_is_believed_from_nobody_else(
    start_web: Callable[..., Web], callers: Callable[[], set[str]]
) -> None:
    for proxies in ("", "192.0.2.7, 10.0.0.0/8"):
        service = start_web(RATE_LIMIT=1000, TRUSTED_PROXIES=proxies)
        assert service.get("/jobs", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 200
        assert callers() == {"address:127.0.0.1"}


def test_with_any_proxy_trusted_the_last_address_is_the_clients(
    start_web: Callable[..., Web], callers: Callable[[], set[str]]
) -> None:
    service = start_web(RATE_LIMIT=1000, TRUSTED_PROXIES="*")
    assert service.get("/jobs", headers={"X-Forwarded-For": "1.1.1.1, 192.0.2.7"}).status_code == 200
    assert callers() == {"address:192.0.2.7"}
