"""Swagger UI: served from here alone, and usable in a real browser, also behind a proxy with a prefix."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser

from dataflow.web.routes.ui import FILES
from tests.support.browser import Visit, program, started, visiting
from tests.support.processes import Web

WEB_VARIABLES = {"TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = program()
    if found is None:
        pytest.skip("no chromium is installed here")
    with started(found) as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    with visiting(browser) as visit:
        yield visit


@pytest.mark.parametrize("path", ["/ui", "/ui/", "/v1/ui", "/v1/ui/"])
def test_the_page_and_all_that_it_asks_for_come_from_here(path: str, web: Web) -> None:
    page = web.get(path)
    assert page.headers["Content-Type"].startswith("text/html")
    asked = re.findall(r'(?:src|href|data-document)="([^"]*)"', page.text)
    assert len(asked) == 6
    assert "://" not in page.text
    for place in asked:
        assert web.get(urljoin(path, place)).status_code == 200, place


def test_its_policy_names_no_other_host_and_allows_no_script_within_the_page(web: Web) -> None:
    page = web.get("/ui")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert not re.search("unsafe|http|[*]", " ".join(policy.values()))
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|<style|\sstyle=", page.text)


@pytest.mark.parametrize("name", FILES)
def test_its_files_come_compressed_where_that_is_accepted(name: str, web: Web) -> None:
    packed, plain = web.get(f"/ui/{name}"), web.get(f"/ui/{name}", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content
    assert packed.headers["Content-Type"] == plain.headers["Content-Type"]


@pytest.mark.parametrize("name", ["nothing.js", "..%2fapp.py", "%2e%2e/app.py", "index.html", "swagger-ui.css/", "a/b"])
def test_no_other_file_is_served(name: str, web: Web) -> None:
    assert web.get(f"/ui/{name}").status_code == 404


@pytest.mark.parametrize("prefix", ["", "/contacts"])
def test_in_a_browser_it_opens_without_an_error_and_an_import_can_be_tried_out(
    prefix: str, visit: Visit, web: Web, work_off: Callable[[], int], stored_contacts: Callable[[], list[Any]]
) -> None:
    if prefix:
        visit.go_through(web.url, prefix)
    page = visit.page
    page.goto(f"{web.url}{prefix}/ui#/imports/imports-receive")
    operation = page.locator("#operations-imports-imports-receive")
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    shown = operation.locator(".live-responses-table .response-col_status")
    shown.first.wait_for()
    assert shown.nth(1).inner_text().strip() == "200"
    assert operation.locator(".request-url pre").inner_text().startswith(f"{web.url}{prefix}/import")
    assert visit.errors == []
    assert visit.asked == {web.url.partition("//")[2]}
    assert work_off() == 0
    assert stored_contacts() == [
        ("Alice", "alice@example.com", "newsletter"),
        ("Bob", "bob@example.com", "newsletter"),
    ]
