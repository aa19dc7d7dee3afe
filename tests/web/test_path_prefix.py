"""Behind a proxy that serves us below a path: every link leads through it, and nobody else says where that is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Web

BODY = {"source": "crm", "data": [{"name": "Ann", "email": "ann@example.com"}]}
#: What is no path, or would lead elsewhere.
UNUSABLE = ("", "/", "contacts", "//evil.example", "/a//b", "https://evil.example/x", "/..", "/a/../b", "/./a", "/a?b")
UNUSABLE += ("/a#b", "/a b", "/a\\b", "/%2e%2e", "/é", "/a;b", "/" + 200 * "a", "/a, //evil.example", "/a,")


@pytest.fixture(scope="module")
def behind_proxy(database: str, state_folder: Path) -> Iterator[Web]:
    settings = {"TRUSTED_PROXIES": "127.0.0.1", "WEB_CONCURRENCY": 1}
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
